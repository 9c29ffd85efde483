# Writes the files beside it, and index.json: `Rscript record.R` in this folder. Recorded with R 4.2.2.
expressions <- c(
  "integer(0)", "character(0)", "list()", "setNames(list(), character(0))",
  "c(1L, NA)", "c(1.5, NA, NaN)", "c(TRUE, NA)", "c(1+2i, NA)", "c('a', NA, 'b')",
  "NA_integer_", "NA_real_", "NaN", "NA_character_", "1e10",
  "list(1)", "list(1, b = 2)", "c(a = 1L, a = 2L)", "c(a = 'x', b = NA)",
  "matrix(c('a', 'b', 'c', 'd'), 2)", "matrix(c(TRUE, NA), 1)", "matrix(7)", "array(1:8, c(2, 2, 2))",
  "factor(c('x', NA, 'y'), levels = c('y', 'x', 'z'))", "factor('b', levels = c('a', 'b'), ordered = TRUE)",
  "as.Date(c('1969-12-31', NA))", "structure(c(-1L, NA), class = 'Date')",
  "as.POSIXct('2024-07-01 12:30:00.25', tz = 'Europe/Berlin')",
  "as.POSIXct(c(0, NA), origin = '1970-01-01')", "structure(0, class = c('POSIXct', 'POSIXt'), tzone = 'Nowhere/At_all')",
  "structure(c(4.94065645841246544e-324, -0), class = 'integer64')",
  "enc2native(iconv('caf\\u00e9', to = 'latin1'))", "'caf\\u00e9'",
  "data.frame()", "data.frame(x = 1)", "head(mtcars[c('mpg', 'cyl')], 2)",
  "data.frame(f = factor(c('u', NA)), d = as.Date(c('2024-01-01', NA)), l = c(TRUE, NA), i = c(1L, NA), s = c('a', NA),
    t = as.POSIXct(c(0, NA), origin = '1970-01-01', tz = 'UTC'))",
  "within(data.frame(x = 1:2), y <- list(1, 'a'))",
  "list(a = list(b = list(c = 1:3)))", "new.env()", "sum", "as.name('x')", "expression(a)", "1:3 + 0",
  "table(c('x', 'y', 'x'))", "table(c(1, 1), c(2, 3))", "data.frame(a = 1, a = 2, check.names = FALSE)"
)
formats <- list(native = FALSE, xdr = TRUE, ascii = NA)
entries <- character()
for (i in seq_along(expressions)) {
  for (format in if (i %in% c(6, 9)) names(formats) else "native") {
    file <- sprintf("%02d_%s.bin", i, format)
    value <- eval(parse(text = expressions[i]))
    bytes <- if (format == "ascii") serialize(value, NULL, ascii = TRUE) else serialize(value, NULL, xdr = formats[[format]])
    writeBin(bytes, file)
    quoted <- gsub("[[:space:]]+", " ", gsub('"', '\\"', gsub("\\", "\\\\", expressions[i], fixed = TRUE), fixed = TRUE))
    entries <- c(entries, sprintf('  {"file": "%s", "r": "%s"}', file, quoted))
  }
}
writeLines(c("[", paste(entries, collapse = ",\n"), "]"), "index.json")

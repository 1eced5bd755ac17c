# Thalamus volume on age, sex, group and EDSS, from the group table of MSMorph. Base R only.
#
#   Rscript docs/analysis.R OUT/group_morph.tsv [OUTCOME [COVARIATE ...]]
#
# OUTCOME is a column of the table (default thalamus_flair_ml); further numeric columns, such as
# tiv_ml, join the model. With several sessions of a participant: a mixed model with a random
# intercept of the participant, by REML, with Satterthwaite's degrees of freedom; otherwise lm.

fail <- function(...) {
  message("analysis.R: ", ...)
  quit(status = 2)
}

say <- function(...) cat(..., "\n", sep = "")

read_table <- function(file) {
  if (!file.exists(file)) fail(file, " does not exist; run the group level first.")
  # All as text: a column of F alone would be read as FALSE, and groups 0 and 1 as numbers.
  read.delim(file, na.strings = "n/a", quote = "", colClasses = "character", check.names = FALSE)
}

# The column of this name in any case, NULL without one.
column <- function(d, name) {
  found <- which(tolower(names(d)) == tolower(name))
  if (length(found) == 0) NULL else d[[found[1]]]
}

numbers <- function(d, name) {
  text <- column(d, name)
  if (is.null(text)) return(NULL)
  values <- suppressWarnings(as.numeric(text))
  odd <- which(!is.na(text) & is.na(values))
  if (length(odd)) fail("the column ", name, " has '", text[odd[1]], "', which is no number.")
  values
}

# participants.tsv has the age at the first session: where it stays the same while days pass, they
# are added.
age_at_session <- function(d) {
  age <- numbers(d, "age")
  days <- numbers(d, "days_since_baseline")
  if (is.null(age) || is.null(days)) return(age)
  same <- tapply(age, d$participant_id, function(v) length(unique(v[!is.na(v)])) <= 1)
  if (all(same) && any(days != 0, na.rm = TRUE)) {
    say("Age is the same at all sessions: days_since_baseline / 365.25 is added to it.")
    age <- age + days / 365.25
  }
  age
}

# Healthy controls are the group that others are compared with, if their name says so.
as_group <- function(text) {
  group <- factor(text)
  control <- grep("^(hc|cn|nc|controls?|healthy.*)$", levels(group), ignore.case = TRUE)
  if (length(control) == 1) relevel(group, levels(group)[control]) else group
}

# Controls have no EDSS, and must not be lost for that: a group without any is given the mean of
# the others. The effect of the group is then that at a mean EDSS, and the slope of EDSS comes from
# those who have one.
fill_edss <- function(edss, group) {
  if (is.null(edss) || is.null(group) || all(is.na(edss))) return(edss)
  without <- names(which(tapply(is.na(edss), group, all)))
  if (length(without) == 0) return(edss)
  centre <- mean(edss, na.rm = TRUE)
  say("No EDSS in ", paste(without, collapse = ", "), ": the mean of the others, ",
      format(centre, digits = 3), ", stands in; effects of group hold at this EDSS.")
  replace(edss, group %in% without, centre)
}

# The model's terms, without those that do not vary.
collect_terms <- function(d, outcome, more) {
  group <- column(d, "group")
  terms <- list(age = age_at_session(d), sex = column(d, "sex"), group = group,
                edss = fill_edss(numbers(d, "edss"), group))
  thickness <- numbers(d, "qc_flair_slice_thickness_mm")
  if (startsWith(outcome, "thalamus_flair") && length(unique(na.omit(thickness))) > 1) {
    say("Slice thickness of the FLAIR varies, and volumes with it: it joins the model.")
    more <- union(more, "qc_flair_slice_thickness_mm")
  }
  for (name in more) {
    terms[[name]] <- numbers(d, name)
    if (is.null(terms[[name]])) fail("the table has no column ", name, ".")
  }
  for (name in c("age", "sex", "group", "edss", more)) {
    if (length(unique(na.omit(terms[[name]]))) < 2) {
      say("Left out of the model, absent or the same in all: ", name)
      terms[[name]] <- NULL
    }
  }
  if (!is.null(terms$sex)) terms$sex <- factor(terms$sex)
  if (!is.null(terms$group)) terms$group <- as_group(terms$group)
  as.data.frame(terms, check.names = FALSE)[seq_len(nrow(d)), , drop = FALSE]
}

# Design matrix of the complete sessions, without columns that others already tell.
design <- function(terms) {
  x <- if (ncol(terms)) model.matrix(~ ., droplevels(terms)) else
    matrix(1, nrow(terms), 1, dimnames = list(NULL, "(Intercept)"))
  colnames(x) <- gsub("[`\" ]", "", colnames(x))
  decomposed <- qr(x)
  kept <- sort(decomposed$pivot[seq_len(decomposed$rank)])
  if (length(kept) < ncol(x)) {
    say("Not to be told from the other terms, left out: ",
        paste(colnames(x)[-kept], collapse = ", "))
  }
  x[, kept, drop = FALSE]
}

# Least squares of a random-intercept model whose variances are known: var(y) is within * (I + ratio
# * J) for each participant. Taking a share of the participant's mean from y and x makes the rest
# independent.
solve_known <- function(y, x, id, ratio) {
  size <- as.vector(table(id)[id])
  share <- 1 - 1 / sqrt(1 + size * ratio)
  y <- y - share * ave(y, id)
  x <- x - share * apply(x, 2, ave, id)
  cross <- crossprod(x)
  beta <- solve(cross, crossprod(x, y))
  list(beta = drop(beta), inverse = solve(cross), rss = sum((y - x %*% beta)^2),
       log_det = sum(log(1 + table(id) * ratio)) + as.numeric(determinant(cross)$modulus))
}

fit_mixed <- function(y, x, id) {
  free <- length(y) - ncol(x)
  deviance <- function(log_ratio, log_within = NULL) {
    fit <- solve_known(y, x, id, exp(log_ratio))
    if (is.null(log_within)) log_within <- log(fit$rss / free)
    free * log_within + fit$log_det + fit$rss / exp(log_within)
  }
  best <- optimize(deviance, c(-12, 12), tol = 1e-8)
  none <- deviance(-Inf) <= best$objective
  log_ratio <- if (none) -Inf else best$minimum
  fit <- solve_known(y, x, id, exp(log_ratio))
  within <- fit$rss / free
  variance <- within * diag(fit$inverse)
  df <- rep(free, ncol(x))
  if (!none) {
    # Satterthwaite: the sampling variance of each coefficient's variance, by the delta method.
    at <- c(log_ratio, log(within))
    spread <- 2 * solve(optimHess(at, function(p) deviance(p[1], p[2])))
    variances <- function(p) exp(p[2]) * diag(solve_known(y, x, id, exp(p[1]))$inverse)
    step <- 1e-4
    slope <- sapply(1:2, function(k) {
      by <- replace(c(0, 0), k, step)
      (variances(at + by) - variances(at - by)) / (2 * step)
    })
    slope <- matrix(slope, ncol = 2)
    df <- pmin(free, 2 * variance^2 / rowSums((slope %*% spread) * slope))
  }
  list(beta = fit$beta, se = sqrt(variance), df = df, between = within * exp(log_ratio),
       within = within)
}

fit_plain <- function(y, x) {
  fit <- summary(lm(y ~ x - 1))
  table <- fit$coefficients
  list(beta = setNames(table[, 1], colnames(x)), se = table[, 2],
       df = rep(fit$df[2], ncol(x)), within = fit$sigma^2)
}

report <- function(fit, repeated) {
  half <- qt(0.975, fit$df) * fit$se
  t <- fit$beta / fit$se
  spell <- function(v) formatC(v, digits = 5, format = "g", flag = "#")
  shown <- data.frame(
    term = names(fit$beta), estimate = spell(fit$beta), se = spell(fit$se),
    df = sprintf("%.1f", fit$df), ci_low = spell(fit$beta - half), ci_high = spell(fit$beta + half),
    t = sprintf("%.2f", t), p = format.pval(2 * pt(-abs(t), fit$df), digits = 3, eps = 1e-16)
  )
  say("")
  print(shown, row.names = FALSE)
  say("")
  if (repeated) {
    say("SD between participants ", spell(sqrt(fit$between)), ", within ", spell(sqrt(fit$within)))
  } else {
    say("Residual SD ", spell(sqrt(fit$within)))
  }
}

main <- function(arguments) {
  if (length(arguments) == 0) fail("name the table: Rscript analysis.R OUT/group_morph.tsv")
  outcome <- if (length(arguments) > 1) arguments[2] else "thalamus_flair_ml"
  d <- read_table(arguments[1])
  y <- numbers(d, outcome)
  if (is.null(y)) fail("the table has no column ", outcome, ".")
  # What was not measured cannot tell whether a term varies.
  say(sum(is.na(y)), " of ", nrow(d), " sessions have no ", outcome, " and are left out.")
  d <- d[!is.na(y), , drop = FALSE]
  y <- y[!is.na(y)]
  terms <- collect_terms(d, outcome, arguments[-(1:2)])
  complete <- complete.cases(terms)
  for (name in names(terms)[colSums(is.na(terms)) > 0]) {
    say(sum(is.na(terms[[name]])), " of ", nrow(d), " sessions have no ", name,
        " and are left out.")
  }
  x <- design(terms[complete, , drop = FALSE])
  y <- y[complete]
  id <- factor(d$participant_id[complete])
  repeated <- anyDuplicated(id) > 0
  if (length(y) <= ncol(x) + repeated) fail("too few complete sessions (", length(y), ").")
  say(outcome, " ~ ", paste(names(terms), collapse = " + "),
      if (repeated) ", random intercept of the participant (REML)" else ", lm", "; ",
      length(y), " sessions of ", nlevels(id), " participants")
  report(if (repeated) fit_mixed(y, x, id) else fit_plain(y, x), repeated)
}

options(width = 160)
main(commandArgs(trailingOnly = TRUE))

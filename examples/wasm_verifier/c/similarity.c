// Transcription tasks: how much of the answer is the right text? The score is 1 less the share of bytes that would have to be
// inserted, deleted or replaced (Levenshtein distance); it passes when there are none.
//
// `build.sh` makes a component of this file. The functions are those of verifiers/plugin/wit/verifier.wit; the strings that they
// give back are freed by the caller, hence the copies.

#include "plugin.h"
#include <stdlib.h>
#include <string.h>

typedef exports_rlvr_verifier_verifier_problem_t problem_t;
typedef exports_rlvr_verifier_verifier_problem_error_t problem_error_t;
typedef exports_rlvr_verifier_verifier_completion_t completion_t;
typedef exports_rlvr_verifier_verifier_description_t description_t;
typedef exports_rlvr_verifier_verifier_verdict_t verdict_t;
typedef exports_rlvr_verifier_verifier_part_t part_t;

static plugin_string_t trim(plugin_string_t text) {
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[0])) text.ptr++, text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1])) text.len--;
    return text;
}

static size_t distance(plugin_string_t a, plugin_string_t b) {
    size_t *row = malloc((b.len + 1) * sizeof *row);
    if (!row) abort();
    for (size_t j = 0; j <= b.len; j++) row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t least = diagonal + (a.ptr[i] != b.ptr[j]);
            if (row[j] + 1 < least) least = row[j] + 1;
            if (row[j + 1] + 1 < least) least = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = least;
        }
    }
    size_t last = row[b.len];
    free(row);
    return last;
}

bool exports_rlvr_verifier_verifier_describe(plugin_string_t *settings, description_t *ret, plugin_string_t *err) {
    if (settings->len != 2) {
        plugin_string_dup(err, "this verifier has no settings");
        return false;
    }
    plugin_string_dup(&ret->name, "similarity");
    plugin_string_dup(&ret->version, "1");
    ret->judges = EXPORTS_RLVR_VERIFIER_VERIFIER_JUDGES_ANSWER;
    return true;
}

bool exports_rlvr_verifier_verifier_check(plugin_string_t *settings, problem_t *problem, problem_error_t *err) {
    (void)settings;
    if (problem->answer.is_some && trim(problem->answer.val).len > 0) return true;
    plugin_string_dup(&err->field, "answer");
    plugin_string_dup(&err->problem, problem->answer.is_some ? "is empty" : "is missing");
    plugin_string_dup(&err->remedy, "give the text that is to be written");
    return false;
}

void exports_rlvr_verifier_verifier_verify(plugin_string_t *settings, problem_t *problem, completion_t *completion,
                                           verdict_t *ret) {
    (void)settings;
    memset(ret, 0, sizeof *ret);
    plugin_string_t gold = trim(problem->answer.val), answer = trim(completion->answer_text);
    ret->score.is_some = true;
    if (answer.len == 0) {
        ret->outcome = EXPORTS_RLVR_VERIFIER_VERIFIER_OUTCOME_UNPARSEABLE;
        plugin_string_dup(&ret->reason, "there is no answer");
        return;
    }
    size_t edits = distance(answer, gold), longest = answer.len > gold.len ? answer.len : gold.len;
    float similarity = 1.0f - (float)edits / (float)longest;
    ret->outcome = edits == 0 ? EXPORTS_RLVR_VERIFIER_VERIFIER_OUTCOME_PASS : EXPORTS_RLVR_VERIFIER_VERIFIER_OUTCOME_FAIL;
    ret->score.val = similarity;
    plugin_string_dup(&ret->reason, edits == 0 ? "the answer is the text" : "the answer is not quite the text");
    ret->answer.is_some = true;
    plugin_string_dup_n(&ret->answer.val, (char *)answer.ptr, answer.len);

    part_t *parts = malloc(2 * sizeof *parts);
    if (!parts) abort();
    plugin_string_dup(&parts[0].name, "exact");
    parts[0].score = edits == 0;
    plugin_string_dup(&parts[1].name, "similarity");
    parts[1].score = similarity;
    ret->parts.ptr = parts;
    ret->parts.len = 2;
}

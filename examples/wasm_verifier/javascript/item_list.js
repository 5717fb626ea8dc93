// Lists in any order: the answer names items, one a line or with commas between them, and the row's `items` are the right ones.
// The score is the F1 of the two sets; it passes when they are equal. `build.sh` makes a component of this file.

const LONGEST = 20000;

const normal = (item) => item.trim().replace(/^([-*]|\d+[.)])\s+/, "").replace(/[.;]$/, "").toLowerCase();

const items = (problem) => JSON.parse(problem.extra).items;

export const verifier = {
  describe(settings) {
    const unknown = Object.keys(JSON.parse(settings))[0];
    if (unknown !== undefined) throw `there is no setting \`${unknown}\`; this verifier has none`;
    return { name: "item_list", version: "1", judges: "answer" };
  },

  check(settings, problem) {
    const right = items(problem);
    if (Array.isArray(right) && right.length > 0 && right.every((item) => typeof item === "string")) return;
    throw { field: "items", problem: "is no list of texts", remedy: 'give ["red", "green", "blue"]' };
  },

  verify(settings, problem, completion) {
    const verdict = { outcome: "unparseable", score: 0, reason: "there is no item", parts: [], answer: undefined };
    // what is far too long to be a list would only use up the fuel
    if (completion.answerText.length > LONGEST) return { ...verdict, reason: `more than ${LONGEST} characters` };
    const right = new Set(items(problem).map(normal));
    const found = new Set(completion.answerText.split(/[\n,]/).map(normal).filter((item) => item !== ""));
    if (found.size === 0) return verdict;
    const hits = [...found].filter((item) => right.has(item)).length;
    verdict.score = (2 * hits) / (found.size + right.size);
    verdict.outcome = verdict.score === 1 ? "pass" : "fail";
    verdict.reason = `${hits} of ${right.size} items, and ${found.size - hits} others`;
    verdict.parts = [
      { name: "precision", score: hits / found.size },
      { name: "recall", score: hits / right.size },
    ];
    verdict.answer = [...found].sort().join(", ");
    return verdict;
  },
};

//! Where answers are found, by example.

use super::*;
use proptest::prelude::*;

fn auto(text: &str) -> Option<(Rule, String)> {
    let part = Thinking::default().answer_part(text, false)?;
    Rule::AUTO.iter().find_map(|rule| extract(part, *rule)).map(|e| (e.rule, e.text.into_owned()))
}

fn text(text: &str) -> String {
    auto(text).map_or_else(|| "nothing".into(), |(_, t)| t)
}

#[test]
fn the_last_complete_box_is_the_answer_whatever_is_nested_in_it() {
    assert_eq!(text(r"\boxed{1} so \boxed{\frac{1}{2}} and so on"), r"\frac{1}{2}");
    assert_eq!(text(r"\fbox{7} then \boxed{8"), "7");
    assert_eq!(text(r"\boxed{\{1,2\}}"), r"\{1,2\}");
    assert_eq!(text(r"\boxed {3}"), "3");
    assert_eq!(text(r"{ open \boxed{\boxed{3}}"), r"\boxed{3}");
    assert_eq!(text(r"\\boxed{4}"), "4");
    assert_eq!(text(&r"\boxed{".repeat(100_000)), "nothing");
}

#[test]
fn boxes_that_are_joined_are_one_answer() {
    assert_eq!(text(r"$\boxed{5}$ or $\boxed{6}$"), r"5 \text{ or } 6");
    assert_eq!(text(r"\boxed{1}, \boxed{2} \text{ and } \boxed{3}"), "1, 2, 3");
    assert_eq!(text(r"\boxed{1} papers and \boxed{2} bins"), "1, 2");
    assert_eq!(text(r"\boxed{5}, that is \boxed{5}"), "5");
    assert_eq!(text(r"\boxed{5}. No, \boxed{6}"), "6");
    assert_eq!(text(r"\boxed{1} no no \boxed{2}"), "2");
    assert_eq!(text(r"\boxed{1} and then but \boxed{2}"), "2");
}

#[test]
fn each_rule_finds_its_answer() {
    for (completion, rule, answer) in [
        ("16 - 7 = 9\n#### 18", Rule::Hashes, "18"),
        ("#### 18\nNext question:", Rule::Hashes, "18"),
        ("So the answer is 18.", Rule::Phrase, "18"),
        ("The answer is 3.5. Done", Rule::Phrase, "3.5"),
        ("Final Answer: **73**", Rule::Phrase, "73"),
        ("**Answer:**\n\n42\n", Rule::Phrase, "42"),
        ("The final answer is\n$$\n42\n$$\nas asked", Rule::Phrase, "42"),
        ("The answer is 5 because 2 + 3 = 5", Rule::Phrase, "5 "),
        ("The answer to the problem is 5.", Rule::Phrase, "5"),
        ("La réponse finale est 7.", Rule::Phrase, "7"),
        ("Die Antwort lautet 7.", Rule::Phrase, "7"),
        ("La respuesta es 7.", Rule::Phrase, "7"),
        ("所以答案是7。", Rule::Phrase, "7"),
        ("अंतिम उत्तर: 7", Rule::Phrase, "7"),
        ("الإجابة النهائية هي 7.", Rule::Phrase, "7"),
        ("Answer: 41 was a wrong guess.\nAnswer: 42", Rule::Phrase, "42"),
        ("#### Step 1: Compute\n3*4 = 12\n\nThe answer is 12.", Rule::Phrase, "12"),
        ("The answer is 12.\n#### Conclusion\nDone", Rule::Phrase, "12"),
        ("#### Solution\nWe multiply.\n\n**Answer:** 12", Rule::Phrase, "12"),
        ("#### Paris", Rule::Hashes, "Paris"),
        ("**Final Answer**\n\n5", Rule::Phrase, "5"),
        ("### Answer\n5", Rule::Phrase, "5"),
        ("The answer is 5 (because 2+3=5).", Rule::Phrase, "5"),
        ("The answer is 5, and we are done.", Rule::Phrase, "5"),
        ("<think>a</think><answer>5</answer>", Rule::Tagged, "5"),
        ("<answer>So \\boxed{5}</answer>", Rule::Tagged, "5"),
        ("<answer>5", Rule::Tagged, "5"),
        ("5</answer>", Rule::Whole, "5"),
        (" 1/2 ", Rule::Whole, "1/2"),
        ("42<|im_end|>", Rule::Whole, "42"),
        (r"2\sqrt{2}", Rule::Whole, r"2\sqrt{2}"),
    ] {
        let (found, text) = auto(completion).unwrap_or_else(|| panic!("{completion}"));
        assert_eq!((found, text.trim()), (rule, answer.trim()), "{completion}");
    }
    for prose in ["I do not know 5 of these", "It may well be 5", "", "a\nb"] {
        assert_eq!(auto(prose), None, "{prose}");
    }
}

#[test]
fn an_answer_in_the_thinking_does_not_count() {
    assert_eq!(text(r"<think>\boxed{42}</think>"), "nothing");
    assert_eq!(text(r"<think>\boxed{42}"), "nothing");
    assert_eq!(text(r"so 7 it is</think>\boxed{42}"), "42");
}

#[test]
fn alternatives_beside_an_answer_are_seen() {
    let beside = |text| {
        Rule::AUTO.iter().find_map(|rule| extract(text, *rule)).and_then(|e| e.alternative).map(|b| b.text)
    };
    assert_eq!(beside(r"$\boxed{5}$ or maybe 6."), Some("maybe 6"));
    assert_eq!(beside(r"It is 5 or $\boxed{6}$"), Some("5"));
    assert_eq!(beside(r"x = 5 or x = \boxed{6}"), Some("5"));
    assert_eq!(beside("The answer is 5. Or 6."), Some("6"));
    assert_eq!(beside("The answer is 5 or the answer is 6."), Some("5"));
    assert_eq!(beside(r"答案是\boxed{5}或6。"), Some("6"));
    assert_eq!(beside(r"It is odd or even; so \boxed{6}"), None);
}

#[test]
fn the_last_number_is_no_piece_of_an_expression() {
    let last = |text| extract(text, Rule::LastNumber).map(|e| e.text.into_owned());
    assert_eq!(last("so she has 1,234.5 dollars"), Some("1,234.5".into()));
    assert_eq!(last("it is -5."), Some("-5".into()));
    assert_eq!(last("因此一共有**858颗**糖果"), Some("858".into()));
    for text in ["10-5", "x^2", "3 * 4", "x2", "none", "AZYUK2A"] {
        assert_eq!(last(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn extraction_never_panics(text in r"(\PC|[\\{}$#*. \n0-9]|\\boxed\{|</?think>|</?answer>| or |answer is |答案是|####){0,80}") {
        for rule in [Rule::Tagged, Rule::Boxed, Rule::Hashes, Rule::Phrase, Rule::Whole, Rule::LastMath, Rule::LastNumber] {
            let _ = Thinking::default().answer_part(&text, false).and_then(|part| extract(part, rule));
        }
        let _ = (all_boxes(&text), within_sentence(&text), first_number(&text));
        let _ = choice::choice(&text, &["A".into(), "B".into()]);
    }
}

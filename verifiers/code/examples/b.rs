fn main() {
    let text = std::fs::read_to_string("/work/shared/data/humaneval/test.jsonl").unwrap();
    let rows: Vec<_> = text.lines().map(|l| { let r: serde_json::Value = serde_json::from_str(l).unwrap();
        let mut extra = serde_json::Map::new(); extra.insert("entry_point".into(), r["entry_point"].clone());
        (rlvr_verdict::Problem { id: r["task_id"].as_str().unwrap().into(), prompt: r["prompt"].as_str().unwrap().into(), tests: Some(r["test"].clone()), extra, ..Default::default() }, r["canonical_solution"].as_str().unwrap().to_string()) }).collect();
    let rounds = std::env::args().nth(1).map_or(5, |s| s.parse().unwrap());
    let b = rlvr_code::bench::verify_python(&rows, rounds, &|l| eprintln!("{l}")).unwrap();
    println!("{b:#?}");
}

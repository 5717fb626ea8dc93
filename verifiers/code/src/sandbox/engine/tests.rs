//! Processes that share a cache of compiled code.

use super::*;
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

/// `(module (func (export "f") (result i32) i32.const 42))`
const SMALL: &[u8] = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x06\x01\x04\0\x41\x2a\x0b";

const SOURCE: Source = Source { hash: "small", module: || Ok(SMALL.to_vec()) };

/// Where the processes of [`processes_that_race_for_the_cache_all_end_with_a_good_module`] keep their code.
const FOLDER: &str = "RLVR_TEST_RACE";

fn answer(module: &Module) -> i32 {
    let mut store = Store::new(module.engine(), ());
    store.set_fuel(1000).unwrap();
    store.set_epoch_deadline(1000);
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    instance.get_typed_func::<(), i32>(&mut store, "f").unwrap().call(&mut store, ()).unwrap()
}

#[test]
#[ignore = "what each process of the race does; started by the test of the race"]
fn one_process_of_the_race() {
    let folder = std::env::var_os(FOLDER).expect("started by the test of the race");
    let engine = Engine::new(&config()).unwrap();
    for _ in 0..25 {
        assert_eq!(answer(&compiled(&engine, Some(Path::new(&folder)), &SOURCE, &|_| {}).unwrap()), 42);
    }
}

#[test]
fn processes_that_race_for_the_cache_all_end_with_a_good_module() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("cache");
    let start = || -> Child {
        let this = std::env::current_exe().unwrap();
        let mut child = Command::new(this);
        child.args(["--exact", "sandbox::engine::tests::one_process_of_the_race", "--ignored", "--quiet"]);
        child.env(FOLDER, &folder).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut children: Vec<Child> = (0..4).map(|_| start()).collect();
    let engine = Engine::new(&config()).unwrap();
    let path = folder.join(cache_name(&engine, &SOURCE));
    // while they run, the file is replaced by damaged ones, and taken away
    let mut round = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        if let Ok(mut bytes) = fs::read(&path) {
            let middle = bytes.len() / 2;
            match round % 3 {
                0 => bytes[middle] ^= 1,
                1 => bytes.truncate(middle),
                _ => drop(fs::remove_file(&path)),
            }
            let damaged = folder.join("damaged");
            fs::write(&damaged, &bytes).unwrap();
            fs::rename(&damaged, &path).unwrap();
            round += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(round > 0, "nothing was damaged");
    let compilations = std::cell::Cell::new(0);
    let count =
        |line: &str| compilations.set(compilations.get() + usize::from(line.starts_with("compiling")));
    fs::write(&path, b"damaged").unwrap();
    for _ in 0..3 {
        assert_eq!(answer(&compiled(&engine, Some(&folder), &SOURCE, &count).unwrap()), 42);
    }
    assert_eq!(compilations.get(), 1, "a damaged file is made again, once");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [path.file_name().unwrap()], "nothing else stays in the folder");
}

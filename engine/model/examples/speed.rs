use rlvr_model::kernels::gemm::{View, gemm};
use std::time::Instant;
fn main() {
    for (m, n, k, kind) in [
        (2048, 256, 1024, "nn"),
        (2048, 768, 256, "nt"),
        (2048, 256, 768, "nt"),
        (2048, 256, 768, "nn"),
        (768, 256, 2048, "tn"),
        (128, 768, 256, "nt"),
        (128, 256, 256, "nt"),
        (128, 128, 256, "nt"),
        (128, 256, 768, "nt"),
        (128, 1024, 256, "nt"),
        (64, 768, 256, "nt"),
        (32, 768, 256, "nt"),
        (1, 768, 256, "nt"),
        (4096, 128, 384, "nt"),
        (4096, 384, 128, "nt"),
    ] {
        let a = vec![0.5f32; m * k];
        let b = vec![0.25f32; n * k];
        let mut c = vec![0f32; m * n];
        let va = if kind == "tn" { View::rows(&a, m).t() } else { View::rows(&a, k) };
        let vb = if kind == "nt" { View::rows(&b, k).t() } else { View::rows(&b, n) };
        let flops = 2.0 * (m * n * k) as f64;
        let reps = (4e9 / flops).ceil() as usize;
        gemm((m, n, k), va, vb, &mut c, false);
        let mut best = f64::MAX;
        for _ in 0..5 {
            let t = Instant::now();
            for _ in 0..reps {
                gemm((m, n, k), va, vb, &mut c, false);
            }
            best = best.min(t.elapsed().as_secs_f64() / reps as f64);
        }
        println!("{kind} {m}x{n}x{k}: {:.1} GFLOP/s  {:.1} us", flops / best / 1e9, best * 1e6);
    }
}

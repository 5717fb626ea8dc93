//! Sixteen `f32` lanes on three instruction sets, with the same bits on each.
//!
//! Kernels are written once, generic over [`Simd`], and instantiated by the `dispatch!` macro inside a function
//! compiled for AVX-512, for AVX2 with FMA, or for the portable fallback; the choice is made once per process.
//! All three round every operation the same way (a fused multiply-add is one rounding everywhere), so a result
//! never depends on which of them ran.

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 512-bit registers: one register holds the 16 lanes.
    Avx512,
    /// 256-bit registers and FMA: two registers hold the 16 lanes.
    Avx2,
    /// Plain Rust with `f32::mul_add`; fused in hardware on aarch64, slow but exact elsewhere.
    Portable,
}

/// The instruction set in use. `RLVR_ISA=avx512|avx2|portable` lowers it, for tests and comparisons.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let wanted = std::env::var("RLVR_ISA").unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx512 && !matches!(wanted.as_str(), "avx2" | "portable") {
                return Isa::Avx512;
            }
            if avx2 && wanted != "portable" {
                return Isa::Avx2;
            }
        }
        let _ = wanted;
        Isa::Portable
    })
}

/// Sixteen lanes of `f32`.
///
/// # Safety
/// Every method may only be called where the implementing instruction set is available, and the pointers given
/// to loads and stores must be valid for the number of floats named. No alignment is required.
#[allow(clippy::missing_safety_doc)] // the section above is every method's
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    /// The register(s) holding 16 lanes.
    type V: Copy;
    /// Whether one register holds all lanes, so that larger register tiles pay off.
    const WIDE: bool;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads 16 floats.
    unsafe fn load(p: *const f32) -> Self::V;
    /// Writes 16 floats.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Lane-wise sum.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise difference.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise product.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise quotient.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Lane-wise maximum; neither operand may be NaN for the result to be defined.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise minimum; neither operand may be NaN for the result to be defined.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Lane-wise rounding to the nearest integer, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `2^a` for integral lanes in `-126..=127`.
    unsafe fn exp2_integral(a: Self::V) -> Self::V;
    /// `x < y ? a : b`, lane by lane.
    unsafe fn select_lt(x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V;

    /// Reads `n <= 16` floats; the other lanes are zero.
    #[inline(always)]
    unsafe fn load_part(p: *const f32, n: usize) -> Self::V {
        if n == 16 {
            // SAFETY: forwarded from the caller.
            return unsafe { Self::load(p) };
        }
        let mut lanes = [0f32; 16];
        // SAFETY: the caller vouches for `n` readable floats at `p`; `lanes` holds 16.
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            Self::load(lanes.as_ptr())
        }
    }

    /// Writes the first `n <= 16` lanes.
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Self::V, n: usize) {
        if n == 16 {
            // SAFETY: forwarded from the caller.
            return unsafe { Self::store(p, v) };
        }
        let mut lanes = [0f32; 16];
        // SAFETY: the caller vouches for `n` writable floats at `p`; `lanes` holds 16.
        unsafe {
            Self::store(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }

    /// The lanes as an array.
    #[inline(always)]
    unsafe fn to_array(v: Self::V) -> [f32; 16] {
        let mut lanes = [0f32; 16];
        // SAFETY: `lanes` holds 16 floats.
        unsafe { Self::store(lanes.as_mut_ptr(), v) };
        lanes
    }

    /// Sum of the lanes, always in the same tree.
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: forwarded from the caller.
        let mut lanes = unsafe { Self::to_array(v) };
        let mut half = 8;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    /// Largest lane.
    #[inline(always)]
    unsafe fn max_lane(v: Self::V) -> f32 {
        // SAFETY: forwarded from the caller.
        unsafe { Self::to_array(v) }.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Writes eight rows of 16 lanes as 16 columns of eight: `dst[lane * stride + row]`.
    #[inline(always)]
    unsafe fn store_transposed_8(rows: [Self::V; 8], dst: *mut f32, stride: usize) {
        for (r, row) in rows.into_iter().enumerate() {
            // SAFETY: the caller vouches for 16 columns of 8 floats at `dst`.
            unsafe {
                for (lane, x) in Self::to_array(row).into_iter().enumerate() {
                    *dst.add(lane * stride + r) = x;
                }
            }
        }
    }

    /// Reads eight columns of 16 rows, `src[row * stride + column]`, as eight vectors over the rows.
    #[inline(always)]
    unsafe fn load_transposed_8(src: *const f32, stride: usize) -> [Self::V; 8] {
        // SAFETY: the caller vouches for 16 rows of 8 floats at `src`.
        unsafe {
            std::array::from_fn(|column| {
                let lanes: [f32; 16] = std::array::from_fn(|row| *src.add(row * stride + column));
                Self::load(lanes.as_ptr())
            })
        }
    }
}

/// `e^x`, within 2 ulp; 0 below -87.33, and arguments above 88.37 count as 88.37.
///
/// Cody-Waite reduction and the degree-5 polynomial of the Cephes library's `expf`, with fused multiply-adds.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // SAFETY: the caller is inside a function compiled for `S`.
    unsafe {
        let low = S::splat(-87.33);
        let clamped = S::min(S::max(x, low), S::splat(88.37));
        let n = S::round(S::mul(clamped, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-0.693_359_4), clamped);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(COEFFICIENTS[0]);
        for c in &COEFFICIENTS[1..] {
            p = S::fma(p, r, S::splat(*c));
        }
        let p = S::add(S::fma(p, S::mul(r, r), r), S::splat(1.0));
        let y = S::mul(p, S::exp2_integral(S::min(n, S::splat(127.0))));
        S::select_lt(x, low, S::splat(0.0), y)
    }
}

/// Plain arrays; see [`Isa::Portable`].
#[derive(Clone, Copy)]
pub struct Portable;

// SAFETY: plain Rust, available everywhere.
unsafe impl Simd for Portable {
    type V = [f32; 16];
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; 16]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        // SAFETY: 16 readable floats, by the trait's contract; the array has the alignment of a float.
        unsafe { p.cast::<[f32; 16]>().read() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        // SAFETY: 16 writable floats, by the trait's contract.
        unsafe { p.cast::<[f32; 16]>().write(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn exp2_integral(a: Self::V) -> Self::V {
        a.map(|x| f32::from_bits(((x as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    unsafe fn select_lt(x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if x[i] < y[i] { a[i] } else { b[i] })
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The two x86 instruction sets. Every method is a thin name for an intrinsic.
    use super::Simd;
    use std::arch::x86_64::*;

    /// 8x8 transpose of 256-bit rows.
    #[inline(always)]
    unsafe fn transpose_8x8(r: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: AVX is available wherever `Avx2` or `Avx512` are.
        unsafe {
            let a: [__m256; 8] = [
                _mm256_unpacklo_ps(r[0], r[1]),
                _mm256_unpackhi_ps(r[0], r[1]),
                _mm256_unpacklo_ps(r[2], r[3]),
                _mm256_unpackhi_ps(r[2], r[3]),
                _mm256_unpacklo_ps(r[4], r[5]),
                _mm256_unpackhi_ps(r[4], r[5]),
                _mm256_unpacklo_ps(r[6], r[7]),
                _mm256_unpackhi_ps(r[6], r[7]),
            ];
            let b: [__m256; 8] = [
                _mm256_shuffle_ps::<0x44>(a[0], a[2]),
                _mm256_shuffle_ps::<0xee>(a[0], a[2]),
                _mm256_shuffle_ps::<0x44>(a[1], a[3]),
                _mm256_shuffle_ps::<0xee>(a[1], a[3]),
                _mm256_shuffle_ps::<0x44>(a[4], a[6]),
                _mm256_shuffle_ps::<0xee>(a[4], a[6]),
                _mm256_shuffle_ps::<0x44>(a[5], a[7]),
                _mm256_shuffle_ps::<0xee>(a[5], a[7]),
            ];
            [
                _mm256_permute2f128_ps::<0x20>(b[0], b[4]),
                _mm256_permute2f128_ps::<0x20>(b[1], b[5]),
                _mm256_permute2f128_ps::<0x20>(b[2], b[6]),
                _mm256_permute2f128_ps::<0x20>(b[3], b[7]),
                _mm256_permute2f128_ps::<0x31>(b[0], b[4]),
                _mm256_permute2f128_ps::<0x31>(b[1], b[5]),
                _mm256_permute2f128_ps::<0x31>(b[2], b[6]),
                _mm256_permute2f128_ps::<0x31>(b[3], b[7]),
            ]
        }
    }

    /// See [`super::Isa::Avx512`].
    #[derive(Clone, Copy)]
    pub struct Avx512;

    // SAFETY: callers are compiled for avx512f and avx512dq, by the trait's contract.
    #[allow(clippy::undocumented_unsafe_blocks)] // each block is one intrinsic under that contract
    unsafe impl Simd for Avx512 {
        type V = __m512;
        const WIDE: bool = true;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn round(a: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<0>(a) }
        }
        #[inline(always)]
        unsafe fn exp2_integral(a: __m512) -> __m512 {
            unsafe {
                let bits = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits))
            }
        }
        #[inline(always)]
        unsafe fn select_lt(x: __m512, y: __m512, a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, y), b, a) }
        }
        #[inline(always)]
        unsafe fn load_part(p: *const f32, n: usize) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, p) }
        }
        #[inline(always)]
        unsafe fn store_part(p: *mut f32, v: __m512, n: usize) {
            unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as u16, v) }
        }
        #[inline(always)]
        unsafe fn store_transposed_8(rows: [__m512; 8], dst: *mut f32, stride: usize) {
            unsafe {
                let low = transpose_8x8(rows.map(|r| _mm512_castps512_ps256(r)));
                let high = transpose_8x8(rows.map(|r| _mm512_extractf32x8_ps::<1>(r)));
                for i in 0..8 {
                    _mm256_storeu_ps(dst.add(i * stride), low[i]);
                    _mm256_storeu_ps(dst.add((i + 8) * stride), high[i]);
                }
            }
        }
        #[inline(always)]
        unsafe fn load_transposed_8(src: *const f32, stride: usize) -> [__m512; 8] {
            unsafe {
                let low = transpose_8x8(std::array::from_fn(|i| _mm256_loadu_ps(src.add(i * stride))));
                let high = transpose_8x8(std::array::from_fn(|i| _mm256_loadu_ps(src.add((i + 8) * stride))));
                std::array::from_fn(|i| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low[i]), high[i]))
            }
        }
    }

    /// See [`super::Isa::Avx2`].
    #[derive(Clone, Copy)]
    pub struct Avx2;

    // SAFETY: callers are compiled for avx2 and fma, by the trait's contract.
    #[allow(clippy::undocumented_unsafe_blocks)] // each block is one or two intrinsics under that contract
    unsafe impl Simd for Avx2 {
        type V = [__m256; 2];
        const WIDE: bool = false;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { [_mm256_set1_ps(x); 2] }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            unsafe {
                _mm256_storeu_ps(p, v[0]);
                _mm256_storeu_ps(p.add(8), v[1]);
            }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn round(a: Self::V) -> Self::V {
            unsafe { a.map(|x| _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)) }
        }
        #[inline(always)]
        unsafe fn exp2_integral(a: Self::V) -> Self::V {
            unsafe {
                a.map(|x| {
                    let bits = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
                })
            }
        }
        #[inline(always)]
        unsafe fn select_lt(x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V {
            unsafe {
                std::array::from_fn(|i| _mm256_blendv_ps(b[i], a[i], _mm256_cmp_ps::<_CMP_LT_OQ>(x[i], y[i])))
            }
        }
        #[inline(always)]
        unsafe fn store_transposed_8(rows: [Self::V; 8], dst: *mut f32, stride: usize) {
            unsafe {
                let low = transpose_8x8(rows.map(|r| r[0]));
                let high = transpose_8x8(rows.map(|r| r[1]));
                for i in 0..8 {
                    _mm256_storeu_ps(dst.add(i * stride), low[i]);
                    _mm256_storeu_ps(dst.add((i + 8) * stride), high[i]);
                }
            }
        }
        #[inline(always)]
        unsafe fn load_transposed_8(src: *const f32, stride: usize) -> [Self::V; 8] {
            unsafe {
                let low = transpose_8x8(std::array::from_fn(|i| _mm256_loadu_ps(src.add(i * stride))));
                let high = transpose_8x8(std::array::from_fn(|i| _mm256_loadu_ps(src.add((i + 8) * stride))));
                std::array::from_fn(|i| [low[i], high[i]])
            }
        }
    }
}

/// Defines `fn name(args)` that runs `generic::<S>(args)` compiled for the instruction set in use.
///
/// `generic` must be `#[inline(always)]` and generic over one [`Simd`] type.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function is compiled for, and only called on, AVX-512.
                unsafe { $generic::<$crate::kernels::simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: this function is compiled for, and only called on, AVX2 with FMA.
                unsafe { $generic::<$crate::kernels::simd::Avx2>($($arg),*) }
            }
            match $crate::kernels::simd::isa() {
                // SAFETY: `isa` has found the instruction set on this processor.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::simd::Isa::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: the portable implementation needs nothing.
                _ => unsafe { $generic::<$crate::kernels::simd::Portable>($($arg),*) },
            }
        }
    };
}
pub(crate) use dispatch;

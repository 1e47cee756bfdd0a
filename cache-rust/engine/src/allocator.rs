//! Makes the allocator do what `memory.rs` counts.
#![allow(unsafe_code)]

/// From this size on an allocation is a mapping of its own, and goes back to the system when it is freed.
pub(crate) const MAPPED_FROM: usize = 128 << 10;

/// Fixes glibc's threshold for mappings. By itself glibc raises it to the largest mapping ever freed (mallopt(3),
/// `M_MMAP_THRESHOLD`): after one batch of 16 MiB, values and batches of any size lie on heaps that fragment;
/// measured, 231 MiB resident in place of 143 with a limit of 128. Other allocators are left as they are.
///
/// To be called once, before anything large is allocated.
pub fn fix_mapping_threshold() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const M_MMAP_THRESHOLD: i32 = -3;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: mallopt takes two integers, keeps no pointer, and may be called at any time.
        unsafe { mallopt(M_MMAP_THRESHOLD, MAPPED_FROM as i32) };
    }
}

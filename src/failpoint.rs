//! Moments at which tests let the process die, as by SIGKILL: before and after each commit, publish,
//! confirmation and acknowledgement. Without the feature `failpoints` there is nothing here.
//!
//! The variable `FAILPOINTS` says where: `inventory.before_commit=20*off->return` lets twenty commits
//! of the inventory's store pass, and none after them.

/// Ends the process if a test wants that at this moment in this part of the program; it says so in
/// its log first.
#[cfg(feature = "failpoints")]
pub fn reach(part: &str, moment: &str) {
    let point = format!("{part}.{moment}");
    let _ = fail::eval(&point, |_| {
        tracing::error!(point, "a test ends the process");
        std::process::abort();
    });
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn reach(_: &str, _: &str) {}

/// Reads what tests want. To be called once, at the start.
pub fn set_up() {
    #[cfg(feature = "failpoints")]
    std::mem::forget(fail::FailScenario::setup());
}

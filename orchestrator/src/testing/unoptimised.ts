/** Arguments of cargo for crates that only have to be built, or to start: without optimisation that takes half the time. */
export const unoptimised = (...crates: readonly string[]): string[] =>
  crates.flatMap((crate) => ['--config', `profile.dev.package.${crate}.opt-level=0`]);

// What a rename does to one text: the name in its three spellings, wherever it stands.

/** Lower case letters and digits, so that it fits a protobuf package, a Go module, a crate and an environment prefix. */
const pattern = /^[a-z][a-z0-9]{1,30}$/;

/** Words that would clash with what is in the repository or in its languages. */
const taken = new Set([
  'cache',
  'gateway',
  'contract',
  'orchestrator',
  'proto',
  'google',
  'test',
  'crate',
  'self',
  'package',
  'internal',
]);

export const nameProblem = (name: string | undefined): string | undefined => {
  if (name === undefined || name === '') return 'Give the new name: npm run rename -- NAME';
  if (!pattern.test(name)) return `"${name}" does not fit: 2 to 31 lower case letters and digits, a letter first.`;
  if (taken.has(name)) return `"${name}" already means something here.`;
  return undefined;
};

const capitalised = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** Replaces `from` by `to` in lower case, Capitalised and UPPER CASE. */
export const replaceName = (text: string, from: string, to: string): string =>
  text
    .replaceAll(from, to)
    .replaceAll(capitalised(from), capitalised(to))
    .replaceAll(from.toUpperCase(), to.toUpperCase());

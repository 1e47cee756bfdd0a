/** A load of requests of which every answer is judged. Start reading at load.ts. */
export type { Latency } from './latency.ts';
export { type Load, type LoadCounts, startLoad } from './load.ts';
export type { Meter, Reading } from './meter.ts';
export type { Kind, LoadOptions, Mix, Size, Skew, Step } from './options.ts';
export { exitCodeOf, isClean, type LoadReport } from './report.ts';
export { tableOf } from './table.ts';
export { targetOf } from './target.ts';
export type { Window } from './windows.ts';

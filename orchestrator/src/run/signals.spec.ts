import { watchInterrupts } from './signals.ts';

test('signals within half a second are one, a later one is another', () => {
  let now = 1000;
  let later = 0;
  const interrupts = watchInterrupts(
    () => {
      later += 1;
    },
    () => now,
  );
  try {
    process.emit('SIGINT', 'SIGINT');
    now += 500;
    process.emit('SIGTERM', 'SIGTERM');
    expect([interrupts.first.aborted, later]).toEqual([true, 0]);
    now += 1;
    process.emit('SIGINT', 'SIGINT');
    expect(later).toBe(1);
  } finally {
    interrupts.dispose();
  }
});

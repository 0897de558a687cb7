/** Waiting for another process, by a condition and never for a fixed time. */

/** A guard against a hang, below vitest's own limit so that the failure names what was awaited. */
export const hangMs = 240_000;

/**
 * Looks until `condition` gives a value; fails and names what was awaited after `hangMs`.
 * @param pollMs time between two looks, longer for a condition that starts a process
 */
export async function eventually<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  pollMs = 20,
): Promise<T> {
  const deadline = performance.now() + hangMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`Waited ${hangMs} ms for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

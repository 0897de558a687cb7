/** Reports the stages of an installation as lines, which are the same in a terminal and in a log. */

/** Interval between two lines about a stage that lasts. */
const lineMs = 15_000;

/**
 * Prints one line when the stage begins, and further ones while it lasts.
 * @param name noun phrase, e.g. `compiling the kernels`
 * @param duration rough duration, for the first line, e.g. `about a minute`
 * @param everyMs interval between two lines
 */
export async function reportStage<T>(
  log: (line: string) => void,
  { name, duration }: { readonly name: string; readonly duration: string },
  body: () => Promise<T>,
  everyMs = lineMs,
): Promise<T> {
  log(`Engine: ${name} (${duration}) ...`);
  const startMs = performance.now();
  const timer = setInterval(() => log(`Engine: ${name}, ${secondsSince(startMs)} s so far ...`), everyMs);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** Whole seconds since a time of `performance.now`. */
export const secondsSince = (startMs: number): number => Math.round((performance.now() - startMs) / 1000);

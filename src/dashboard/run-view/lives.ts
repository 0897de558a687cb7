/** The processes of workers from their joins to their ends. */

import type { EventOf, Life } from './run-update.js';

const mostLives = 200;

/** Returns the processes after a worker has joined, was lost or has left. */
export function livesAfter(lives: readonly Life[], event: EventOf<'worker'>): readonly Life[] {
  const { state, rank, pid, host, timeMs } = event;
  if (state === 'joined')
    return [...lives, { rank, pid, host, fromMs: timeMs, toMs: null, end: null }].slice(-mostLives);
  const isMeant = (life: Life): boolean => life.pid === pid && life.host === host && life.toMs === null;
  return lives.map((life) => (isMeant(life) ? { ...life, toMs: timeMs, end: state } : life));
}

/** Returns the processes after the end of the run, which no worker outlives. */
export const livesAfterEnd = (lives: readonly Life[], endMs: number): readonly Life[] =>
  lives.map((life) => (life.toMs === null ? { ...life, toMs: endMs, end: 'left' } : life));

/** Which processes there are, from /proc: for tests that nothing is left behind. Linux only. */
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** One letter, as in proc(5): R, S, D, T, ... Zombies (Z, X) are left out of every list here. */
  readonly state: string;
  /** The command line, its arguments separated by blanks. */
  readonly command: string;
}

/** Every live process that this user can see. */
export function liveProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processInfo(Number(name)) ?? []);
}

/** Undefined when there is no such process, or only its zombie. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in parentheses, which may hold anything, also blanks and parentheses.
    const [state = '', parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), group: Number(group), state, command };
  } catch {
    // It ended between two reads.
    return undefined;
  }
}

/** The members of a process group, whoever their parent is by now. */
export function groupMembers(group: number): ProcessInfo[] {
  return liveProcesses().filter((info) => info.group === group);
}

/** The direct children of a process. */
export function childrenOf(pid: number): ProcessInfo[] {
  return liveProcesses().filter(({ parent }) => parent === pid);
}

/** Kills a whole process group; one that is gone already is no error. */
export function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Looks until `condition` gives a value, for at most `timeoutMs`; then fails and says what was awaited. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

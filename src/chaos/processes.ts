/** Reads the process tree and the resources of processes from Linux's /proc. */

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

interface Line {
  readonly pid: number;
  readonly parent: number;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Undefined for processes that have ended, zombies included. */
function lineOf(pid: number): Line | undefined {
  const [, state, parent] = /\) (\S) (\d+)/.exec(read(`/proc/${pid}/stat`)) ?? [];
  return state === undefined || state === 'Z' ? undefined : { pid, parent: Number(parent) };
}

/**
 * The start time of a process in clock ticks since the boot, the 22nd field of /proc/PID/stat; undefined for processes that have ended,
 * zombies included. A PID names a process only together with it, because the system gives PIDs of ended processes to others.
 */
export function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The second field, the command in parentheses, may contain spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

/** The PIDs of those processes that are alive. @param processes start times by PID */
export const survivors = (processes: ReadonlyMap<number, string>): number[] =>
  [...processes].filter(([pid, start]) => startOf(pid) === start).map(([pid]) => pid);

/** All descendants of a process. */
export function descendants(pid: number): number[] {
  const lines = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (lineOf(Number(name)) ?? []) : [],
  );
  const below = (parent: number): number[] =>
    lines.filter((line) => line.parent === parent).flatMap((line) => [line.pid, ...below(line.pid)]);
  return below(pid);
}

export interface Holdings {
  readonly residentMb: number;
  readonly descriptors: number;
  readonly sockets: number;
}

/** Undefined if the process has ended. */
export function holdings(pid: number): Holdings | undefined {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)) ?? [];
  if (kilobytes === undefined) return undefined;
  let links: string[] = [];
  try {
    links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return '';
      }
    });
  } catch {
    return undefined;
  }
  return {
    residentMb: Number(kilobytes) / 1024,
    descriptors: links.length,
    sockets: links.filter((link) => link.startsWith('socket:')).length,
  };
}

/**
 * Runs the real command, `node dist/cli/main.js`, as `npm test` has built it. Owns the processes that it starts: each
 * run is a process group of its own, killed when its test is over, failed or not, and no later than its deadline.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach } from 'vitest';
import type { RunEvent } from '../../src/shared/run-events.js';
import { eventually, groupMembers, killGroup, type ProcessInfo } from './processes.js';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const mainFile = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface LockstepOptions {
  /** Added to this process's environment, which is passed on without its LOCKSTEP_ variables; undefined removes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default 60000. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

export interface LockstepResult {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What `--json` printed. */
  readonly events: readonly RunEvent[];
}

export interface RunningLockstep {
  readonly pid: number;
  /** So far. */
  readonly events: readonly RunEvent[];
  /** So far. */
  readonly stderr: string;
  /** The first event, past or to come, for which `wanted` holds. Rejects when the command ends without one. */
  waitForEvent(wanted: (event: RunEvent) => boolean): Promise<RunEvent>;
  /** Sends a signal to the command itself, not to its children. */
  kill(signal: NodeJS.Signals): void;
  /** The live processes of the run: the command and all that came of it, orphans included. */
  members(): ProcessInfo[];
  /** Resolves when the last of them is gone; fails after `timeoutMs`. */
  everyoneGone(timeoutMs: number): Promise<void>;
  /** Resolves when the command has ended and its output is complete; rejects when the deadline had to kill it. */
  readonly exited: Promise<LockstepResult>;
}

const running = new Set<number>();

function killAll(): void {
  for (const pid of running) killGroup(pid);
  running.clear();
}
afterEach(killAll);
// For what a failing beforeAll has started.
afterAll(killAll);

/** Runs `lockstep ...args` to its end. */
export function runLockstep(args: readonly string[], options: LockstepOptions = {}): Promise<LockstepResult> {
  return startLockstep(args, options).exited;
}

/** Starts `lockstep ...args`; ends with the test at the latest. */
export function startLockstep(args: readonly string[], options: LockstepOptions = {}): RunningLockstep {
  const { timeoutMs = 60_000, cwd } = options;
  const child = spawn(process.execPath, [mainFile, ...args], {
    cwd,
    env: cleanEnvironment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Leads a process group, by which all of its descendants can be found and killed.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${process.execPath} can't be started`);
  running.add(pid);

  const lines: string[] = [];
  const events: RunEvent[] = [];
  let stderr = '';
  let ended = false;
  const watchers = new Set<() => void>();
  const tellWatchers = (): void => {
    for (const watcher of watchers) watcher();
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (!line.startsWith('{"event":')) return;
    events.push(JSON.parse(line) as RunEvent);
    tellWatchers();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));

  const exited = new Promise<LockstepResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      const members = groupMembers(pid).map((info) => `  ${info.pid} ${info.state} ${info.command}`);
      killGroup(pid);
      const what = `lockstep ${args.join(' ')}: no end after ${timeoutMs} ms`;
      reject(
        new Error([what, ...members, 'stderr:', stderr, 'stdout:', ...lines].join('\n').slice(0, 20_000)),
      );
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      ended = true;
      resolve({ status, signal, stdout: lines.map((line) => `${line}\n`).join(''), stderr, events });
      tellWatchers();
    });
  });
  // A test that fails before it awaits the end must not fail a second time, unheard.
  exited.catch(() => undefined);

  return {
    pid,
    events,
    get stderr() {
      return stderr;
    },
    exited,
    kill: (signal) => void child.kill(signal),
    members: () => groupMembers(pid),
    everyoneGone: async (limitMs) => {
      await eventually(`the end of process group ${pid}`, limitMs, () => groupMembers(pid).length === 0);
    },
    waitForEvent: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = events.find(wanted);
          if (!found && !ended) return;
          watchers.delete(look);
          if (found) resolve(found);
          else
            reject(
              new Error(`lockstep ${args.join(' ')} ended without the awaited event; stderr:\n${stderr}`),
            );
        };
        watchers.add(look);
        look();
      }),
  };
}

/** The events of one kind. */
export function eventsOf<Kind extends RunEvent['event']>(
  events: readonly RunEvent[],
  kind: Kind,
): Extract<RunEvent, { event: Kind }>[] {
  return events.filter((event): event is Extract<RunEvent, { event: Kind }> => event.event === kind);
}

/** This process's environment without what would configure a run, then `changes`. */
export function cleanEnvironment(changes: LockstepOptions['env'] = {}): Record<string, string> {
  const foreign = /^(LOCKSTEP_|PM2_|NODE_APP_INSTANCE$|VITEST|TF_)/;
  const kept = Object.entries({ ...process.env, ...changes }).filter(
    ([name, value]) => value !== undefined && (name in changes || !foreign.test(name)),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}

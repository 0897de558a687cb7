/**
 * The meeting point of a job's tasks: a folder in the run's folder, in which task 0 publishes the address of the coordinator and the keys
 * of the job. Only the user of the job can enter it.
 *
 * ```
 * <run>/job-START/record.json      the address, or the reason why task 0 has ended
 * <run>/job-START/*.key, *.pub     the keys, as in cli/security/key-files.ts; removed with the folder at the end
 * ```
 * The folder is named after the start of the job, so a task never reads what an earlier start has left. A scheduler may not have a name for
 * each start. Its tasks then accept a record only after they have seen that task 0 renews it.
 */

import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, PeerLostError, systemCode } from '../../shared/errors.js';
import { enterableByOthers } from '../../shared/files/ownership.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';
import { AwakeClock } from '../../shared/time/awake-clock.js';

const recordName = 'record.json';
const folderPattern = /^job(?:-[\w.-]+)?$/;

const recordSchema = z.object({
  format: z.literal(1),
  /** Number of times that the record was written. */
  renewals: z.int().min(0),
  content: z.discriminatedUnion('state', [
    z.object({
      state: z.literal('open'),
      endpoint: z.string().min(1).max(1_024),
      /** True if the folder contains the keys. */
      encrypted: z.boolean(),
    }),
    z.object({ state: z.literal('ended'), status: z.int().min(0).max(255), reason: z.string().max(4_096) }),
  ]),
});
export type JobContent = Readonly<z.infer<typeof recordSchema>['content']>;

const firstRenewalMs = 250;
const longestRenewalMs = 10_000;

/** Returns the folder in which the tasks of one start of a job meet. */
export function jobFolder(out: string, start: string | null): string {
  return join(out, start === null ? 'job' : `job-${start}`);
}

/** Returns true for the names of such folders. */
export const isJobFolder = (name: string): boolean => folderPattern.test(name);

/** Task 0's side. */
export class JobRecord {
  readonly folder: string;
  readonly #isNamed: boolean;
  #isCreated = false;
  #content: JobContent | undefined;
  #renewals = 0;
  #pauseMs = firstRenewalMs;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();

  constructor(out: string, start: string | null) {
    this.folder = jobFolder(out, start);
    this.#isNamed = start !== null;
  }

  /**
   * Makes the folder anew, and removes those of earlier starts. The caller holds the lease of the run's folder.
   * @throws ConfigError if it can't be made
   */
  create(out: string): void {
    try {
      for (const name of readdirSync(out).filter(isJobFolder))
        rmSync(join(out, name), { recursive: true, force: true });
      mkdirSync(this.folder, { mode: 0o700 });
      this.#isCreated = true;
    } catch (cause) {
      throw new ConfigError(
        `Folder ${this.folder} of the job can't be made (${systemCode(cause) ?? String(cause)}). Choose another run folder with --out.`,
        {},
        cause,
      );
    }
  }

  /** Publishes the content, and renews it if the tasks need that. @throws the file system's error */
  async publish(content: JobContent): Promise<void> {
    clearTimeout(this.#timer);
    this.#content = content;
    await this.#write();
    if (!this.#isNamed && content.state === 'open') this.#renewLater();
  }

  /** The reason for other tasks to end. Tasks of a start without a name are ended by their scheduler. */
  async end(status: number, reason: string): Promise<void> {
    await this.remove();
    if (!this.#isNamed) return;
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      await this.publish({ state: 'ended', status, reason: reason.slice(0, 4_096) });
    } catch {
      // The tasks wait until their limit.
    }
  }

  /** Removes the folder and the keys in it. A folder that can't be removed is removed by the next start. */
  async remove(): Promise<void> {
    clearTimeout(this.#timer);
    this.#content = undefined;
    await this.#written;
    // A folder without the name of a start may be that of another job.
    if (!this.#isCreated) return;
    try {
      rmSync(this.folder, { recursive: true, force: true });
    } catch (error) {
      process.stderr.write(
        `Warning: the keys of the job in ${this.folder} can't be removed (${systemCode(error) ?? String(error)}).\n`,
      );
    }
  }

  #renewLater(): void {
    this.#timer = setTimeout(() => {
      // A file system that fails for a time does not end the run.
      void this.#write().catch(() => undefined);
      this.#pauseMs = Math.min(longestRenewalMs, this.#pauseMs * 1.1);
      this.#renewLater();
    }, this.#pauseMs).unref();
  }

  async #write(): Promise<void> {
    const content = this.#content;
    if (content === undefined) return;
    const record: z.infer<typeof recordSchema> = { format: 1, renewals: this.#renewals++, content };
    const writing = writeFileAtomically(join(this.folder, recordName), `${JSON.stringify(record)}\n`);
    this.#written = writing.catch(() => undefined);
    await writing;
  }
}

const pollMs = 100;
const lineMs = 10_000;

export interface JobWait {
  readonly out: string;
  readonly start: string | null;
  /** Names the job in errors. */
  readonly job: string;
  readonly host: string;
  readonly limitMs: number;
  readonly print: (line: string) => void;
}

/**
 * The side of the other tasks: waits until task 0 has published its address.
 * @throws PeerLostError after the limit; ConfigError if other users can enter the folder
 */
export async function waitForJobRecord(wait: JobWait): Promise<JobContent> {
  const folder = jobFolder(wait.out, wait.start);
  const clock = new AwakeClock(4 * pollMs);
  const startMs = clock.now();
  let first: number | undefined;
  let lines = 0;
  for (;;) {
    const record = readRecord(wait.out, folder);
    if (record !== undefined && (wait.start !== null || (first !== undefined && record.renewals !== first)))
      return record.content;
    first ??= record?.renewals;
    const waitedMs = clock.now() - startMs;
    if (waitedMs >= wait.limitMs) throw missing(folder, wait);
    if (waitedMs >= (lines + 1) * lineMs) {
      lines++;
      wait.print(
        `Waiting for task 0 of ${wait.job} to write ${folder} since ${Math.round(waitedMs / 1000)} s.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function readRecord(out: string, folder: string): z.infer<typeof recordSchema> | undefined {
  let text: string;
  try {
    // A network file system may remember that a file did not exist. It asks the server again after the folder has been listed.
    readdirSync(out);
    text = readFileSync(join(folder, recordName), 'utf8');
  } catch {
    return undefined;
  }
  const fault = enterableByOthers(folder);
  if (fault !== undefined)
    throw new ConfigError(
      `Folder ${folder} of the job: expected one that only this user can enter, got another: ${fault}. ` +
        'Choose a run folder of your own with --out.',
    );
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function missing(folder: string, { job, host, limitMs }: JobWait): PeerLostError {
  return new PeerLostError(
    `No coordinator of ${job}: expected its address in ${folder} within ${Math.round(limitMs / 1000)} s, got none on host ${host}. ` +
      'Either task 0 has not started or has failed, or this host does not share that folder with the host of task 0: ' +
      'choose a shared folder with --out, or give every task the same keys (LOCKSTEP_KEYS). --join-timeout-ms sets the limit.',
    { who: 'coordinator', folder },
  );
}

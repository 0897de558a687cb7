/** The real pm2 with a daemon of its own in a temporary PM2_HOME. A test that starts one must call `kill`. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { z } from 'zod';
import { hangMs } from './eventually.js';

const run = promisify(execFile);
const pm2File = createRequire(import.meta.url).resolve('pm2/bin/pm2');

const listSchema = z.array(
  z.object({
    name: z.string(),
    pid: z.number().optional(),
    pm2_env: z.object({
      status: z.string(),
      exit_code: z.union([z.number(), z.string()]).optional(),
      restart_time: z.number(),
      NODE_APP_INSTANCE: z.union([z.number(), z.string()]),
    }),
  }),
);

export interface Pm2App {
  readonly name: string;
  /** online, stopping, stopped, errored, "waiting restart". */
  readonly status: string;
  readonly exitCode: number | undefined;
  readonly restarts: number;
  readonly instance: number;
}

export class Pm2 {
  readonly #environment: Readonly<Record<string, string>>;
  readonly #cwd: string;

  readonly #home: string;

  readonly #node: string;

  /** `environment` is added to this process's own; `home` becomes PM2_HOME; `node` runs pm2 itself and its daemon. */
  constructor(
    home: string,
    environment: Readonly<Record<string, string>>,
    cwd = home,
    node = process.execPath,
  ) {
    this.#node = node;
    this.#home = home;
    this.#cwd = cwd;
    this.#environment = { ...environment, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true' };
  }

  /** The same daemon, for commands with more variables. */
  withEnvironment(more: Readonly<Record<string, string>>): Pm2 {
    return new Pm2(this.#home, { ...this.#environment, ...more }, this.#cwd, this.#node);
  }

  /** Runs `pm2 ...args`; returns what it printed. */
  async command(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(this.#node, [pm2File, ...args], {
      env: { ...process.env, ...this.#environment },
      cwd: this.#cwd,
      timeout: hangMs,
      maxBuffer: 16 * 2 ** 20,
    });
    return stdout;
  }

  async #jlist(): Promise<z.infer<typeof listSchema>> {
    const printed = await this.command('jlist');
    // Its greeting may come before the list.
    return listSchema.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''));
  }

  /** Pids of the apps that run. */
  async pids(): Promise<number[]> {
    return (await this.#jlist()).flatMap(({ pid = 0 }) => (pid > 0 ? [pid] : []));
  }

  async list(): Promise<Pm2App[]> {
    return (await this.#jlist()).map(({ name, pm2_env: env }) => ({
      name,
      status: env.status,
      exitCode: env.exit_code === undefined ? undefined : Number(env.exit_code),
      restarts: env.restart_time,
      instance: Number(env.NODE_APP_INSTANCE),
    }));
  }

  /** Ends the daemon and every process under it. */
  async kill(): Promise<void> {
    await this.command('kill');
  }
}

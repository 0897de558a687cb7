/** The coordinator's state machine with a clock that a test advances and workers whose messages a test sends. */
import { decide } from '../../src/coordinator/decide.js';
import { initialState } from '../../src/coordinator/initial-state.js';
import type { CoordinatorEvent } from '../../src/coordinator/coordinator-event.js';
import type { Action, InheritedState, State } from '../../src/coordinator/types.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema, type RunConfigInput } from '../../src/shared/config/run-config.js';
import type { Fingerprint } from '../../src/shared/identity/fingerprint.js';
import { protocolVersion, type CommonPlan, type WorkerMessage } from '../../src/shared/protocol/messages.js';

const times = { heartbeatMs: 100, peerTimeoutMs: 1000, stepTimeoutMs: 5000, joinTimeoutMs: 9000 };
export const sha = (digit: string): string => digit.repeat(64);
export const runId = '00000000-0000-4000-8000-000000000000';

export class CoordinatedRun {
  nowMs = 0;
  #state: State;
  actions: Action[] = [];
  /** The ids of all workers that have joined, by connection. */
  readonly #ids = new Map<string, string>();

  /** @param own the fingerprint of the coordinator */
  constructor(
    workers = 2,
    change: RunConfigInput = {},
    inherited: InheritedState | null = null,
    own: Partial<Fingerprint> = {},
  ) {
    const config = resolveConfig(runConfigSchema.parse({ workers, ...times, maxSteps: 3, ...change }), {
      cores: 2,
      gpus: [],
    });
    const definition = { path: '/config.ts', sha256: sha('c'), entry: 'config.ts', files: {} };
    this.#state = initialState(
      {
        runId,
        host: 'box',
        config,
        definition,
        fingerprint: own,
        socketDirectory: null,
        out: '/out',
        resume: null,
        inherited,
      },
      0,
    );
  }

  get state(): State {
    return this.#state;
  }

  get phase(): string {
    return this.#state.phase;
  }

  on(event: CoordinatorEvent): void {
    const { state, actions } = decide(this.#state, event, this.nowMs);
    this.#state = state;
    this.actions.push(...actions);
  }

  say(from: string, message: WorkerMessage): void {
    if (message.type === 'join') this.#ids.set(from, message.workerId);
    if (message.type === 'rejoin') this.#ids.set(from, message.join.workerId);
    this.on({ kind: 'message', from, message });
  }

  join(from: string, pid: number, host = 'box', protocol = protocolVersion): void {
    this.say(from, this.joining(pid, host, protocol));
  }

  joining(pid: number, host = 'box', protocol = protocolVersion): Extract<WorkerMessage, { type: 'join' }> {
    const workerId = `00000000-0000-4000-8000-00000000000${pid}`;
    return { type: 'join', protocol, workerId, pid, host, workerSlot: String(pid) };
  }

  ready(from: string, change: Partial<Extract<WorkerMessage, { type: 'ready' }>> = {}): void {
    this.say(from, this.beingReady(from, change));
  }

  beingReady(
    from: string,
    change: Partial<Extract<WorkerMessage, { type: 'ready' }>> = {},
  ): Extract<WorkerMessage, { type: 'ready' }> {
    const hashes = { layoutHash: sha('a'), weightsSha256: sha('b'), dataSha256: sha('d') };
    const counts = { parameterCount: 10, trainCount: 100, testCount: 10 };
    return {
      type: 'ready',
      device: 'CPU',
      engine: 'test',
      endpoint: `tcp://${from}`,
      memory: null,
      identity,
      fingerprint,
      ...hashes,
      ...counts,
      ...change,
    };
  }

  /** Sends a member's answer to `identify`. */
  rejoin(from: string, rank: number, change: Partial<Extract<WorkerMessage, { type: 'rejoin' }>> = {}): void {
    const membership = { runId, generation: 1, rank, worldSize: 2 };
    const [join, ready] = [this.joining(rank + 1), this.beingReady(from)];
    this.say(from, { type: 'rejoin', ...membership, join, ready, ...change });
  }

  /** A run in phase `running`: `a` is pid 1 and rank 0, `b` is pid 2 and rank 1, ... */
  static running(workers = 2, change: RunConfigInput = {}): CoordinatedRun {
    const run = new CoordinatedRun(workers, change);
    const names = ['a', 'b', 'c', 'd'].slice(0, workers);
    for (const [i, name] of names.entries()) run.join(name, i + 1);
    for (const name of names) run.ready(name);
    for (const name of names) run.say(name, { type: 'connected', generation: 1, sharesMemory: true });
    run.actions = [];
    return run;
  }

  commit(from: string, step: number): void {
    this.say(from, { type: 'committed', generation: 1, step, epoch: 1, loss: 1, learningRate: 0.1 });
  }

  /** The rank of a worker in a plan. */
  rankIn({ memberIds }: CommonPlan, connection: string): number {
    return memberIds.indexOf(this.#ids.get(connection) ?? '');
  }

  /** The plans of a generation, by rank. */
  plans(generation: number) {
    const plans = this.actions.flatMap((action) =>
      action.kind === 'send' && action.message.type === 'plan'
        ? [{ to: action.to, rank: this.rankIn(action.message.plan, action.to), ...action.message.plan }]
        : [],
    );
    return plans
      .filter((plan) => plan.generation === generation)
      .map(({ to, rank, workers, step, source }) => ({ to, rank, world: workers.length, step, source }));
  }

  /** The number of shards of each rank of a generation. */
  shares(generation: number): number[] {
    const plan = this.actions.flatMap((action) =>
      action.kind === 'send' &&
      action.message.type === 'plan' &&
      action.message.plan.generation === generation
        ? [action.message.plan]
        : [],
    )[0];
    return (plan?.workers ?? []).map(({ shards: { start, end } }) => end - start);
  }

  get lost(): (string | undefined)[] {
    return this.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'worker' && action.event.state === 'lost'
        ? [action.event.reason]
        : [],
    );
  }

  get warnings(): string[] {
    return this.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'warning' ? [action.event.message] : [],
    );
  }

  beat(from: string, ticks: number, waitingFor = ''): void {
    this.say(from, { type: 'heartbeat', generation: 1, ticks, waitingFor });
  }

  tick(atMs: number): void {
    this.nowMs = atMs;
    this.on({ kind: 'timer' });
  }

  sent(to: string): string[] {
    return this.actions.flatMap((action) =>
      action.kind === 'send' && action.to === to ? [action.message.type] : [],
    );
  }

  get error(): { code: string; message: string } | undefined {
    return this.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'error' ? [action.event] : [],
    )[0];
  }

  get status(): number | undefined {
    return this.actions.flatMap((action) => (action.kind === 'end' ? [action.status] : []))[0];
  }
}

export const identity = {
  engine: 'tensorflow 2',
  kernels: 'own',
  device: 'cpu',
  threads: '1',
  cpu: 'x64 A 6 1',
  instructions: 'avx2 fma',
};

/** The fingerprint of every worker, unless a test changes it. */
export const fingerprint = {
  code: { 'dist/a.js': '1', 'dist/b.js': '2' },
  engine: { 'tfjs version': '4' },
  definition: { 'config.ts': '3' },
  functions: {},
  layers: { 'layer "dense" (Dense)': '4' },
  values: { epochs: '3' },
};

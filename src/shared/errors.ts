/**
 * Every error that Lockstep raises on purpose. Owns the codes; docs/errors.md explains them one by one.
 *
 * Two kinds. An InvariantError is a bug of ours and is never caught to go on. An OperationalError is the world's
 * doing (a file, a network, a person): it has a `code` that programs match on, fields that name what was expected and
 * what came, and a message of the form "What failed: expected X, got Y (where). What to do next."
 */

export type ErrorCode =
  | 'CONFIG'
  | 'DATA'
  | 'PROTOCOL'
  | 'LAYOUT_MISMATCH'
  | 'STALE_GENERATION'
  | 'PEER_LOST'
  | 'DEADLINE'
  | 'CHECKPOINT'
  | 'ENGINE'
  | 'MODEL'
  | 'DIVERGED'
  | 'INTERRUPTED';

export type ErrorFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** A broken assumption inside Lockstep. Report it; the process that sees it ends. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws InvariantError unless `condition` holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

export abstract class OperationalError extends Error {
  abstract readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.fields = fields;
  }
}

/** Wrong option, wrong config file, a model that doesn't fit its data. Exit status 2 before a run has begun. */
export class ConfigError extends OperationalError {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG';
}

/** A data file is missing, damaged or not what it claims to be. Nothing of it is used. */
export class DataError extends OperationalError {
  override readonly name = 'DataError';
  readonly code = 'DATA';
}

/** A message or frame that doesn't parse. It is refused and counted, and has no effect. */
export class ProtocolError extends OperationalError {
  override readonly name = 'ProtocolError';
  readonly code = 'PROTOCOL';
}

/** A worker's parameters (names, shapes, dtypes or initial values) differ from the run's. */
export class LayoutMismatchError extends OperationalError {
  override readonly name = 'LayoutMismatchError';
  readonly code = 'LAYOUT_MISMATCH';
}

/** A message from a membership that is over. */
export class StaleGenerationError extends OperationalError {
  override readonly name = 'StaleGenerationError';
  readonly code = 'STALE_GENERATION';
}

/** A process that takes part in the run is gone or no longer answers; the message names it. */
export class PeerLostError extends OperationalError {
  override readonly name = 'PeerLostError';
  readonly code = 'PEER_LOST';
}

/** Something alive made no progress within its deadline. */
export class DeadlineError extends OperationalError {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE';
}

/** A saved model or checkpoint can't be written or doesn't verify. */
export class CheckpointError extends OperationalError {
  override readonly name = 'CheckpointError';
  readonly code = 'CHECKPOINT';
}

/** The tensor engine is absent, damaged or doesn't load. */
export class EngineError extends OperationalError {
  override readonly name = 'EngineError';
  readonly code = 'ENGINE';
}

/** A model that can't be trained data-parallel with the promised semantics; the message names the layer. */
export class ModelError extends OperationalError {
  override readonly name = 'ModelError';
  readonly code = 'MODEL';
}

/** The loss or a gradient is no longer a finite number. */
export class DivergedError extends OperationalError {
  override readonly name = 'DivergedError';
  readonly code = 'DIVERGED';
}

/** Somebody asked the run to stop. Exit status 130. */
export class InterruptedError extends OperationalError {
  override readonly name = 'InterruptedError';
  readonly code = 'INTERRUPTED';
}

const classes = {
  CONFIG: ConfigError,
  DATA: DataError,
  PROTOCOL: ProtocolError,
  LAYOUT_MISMATCH: LayoutMismatchError,
  STALE_GENERATION: StaleGenerationError,
  PEER_LOST: PeerLostError,
  DEADLINE: DeadlineError,
  CHECKPOINT: CheckpointError,
  ENGINE: EngineError,
  MODEL: ModelError,
  DIVERGED: DivergedError,
  INTERRUPTED: InterruptedError,
} as const satisfies Record<ErrorCode, new (message: string, fields?: ErrorFields) => OperationalError>;

export const errorCodes = Object.keys(classes) as ErrorCode[];

/** What is left of an error once it has crossed a wire. */
export interface WireError {
  readonly code: ErrorCode | 'INVARIANT';
  readonly message: string;
}

export function toWireError(error: unknown): WireError {
  if (error instanceof OperationalError) return { code: error.code, message: error.message };
  return {
    code: 'INVARIANT',
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

export function fromWireError(wire: WireError): Error {
  return wire.code === 'INVARIANT' ? new InvariantError(wire.message) : new classes[wire.code](wire.message);
}

/** The `code` that node's own system errors carry, for example ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

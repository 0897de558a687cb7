/**
 * The errors that Lockstep throws, and their codes; docs/errors.md explains each code.
 *
 * An InvariantError is a bug in Lockstep and is never caught in order to continue. An OperationalError has an external cause, such as
 * a file, a network or a wrong option. It has a `code` for programs, fields with the expected and the actual values, and a message
 * of the form "What failed: expected X, got Y (where). What to do next."
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
  | 'DEVICE_LOST'
  | 'MODEL'
  | 'DIVERGED'
  | 'USER'
  | 'INTERRUPTED';

export type ErrorFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** A violated assumption inside Lockstep: a bug to report. The process exits. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Returns `thrown` if it is an error, and otherwise a new error with its text as the message. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
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

/** An option or a config file is wrong, or a model does not match its data. Exit status 2 before a run has started. */
export class ConfigError extends OperationalError {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG';
}

/** A data file is missing, damaged or of another format. No part of it is used. */
export class DataError extends OperationalError {
  override readonly name = 'DataError';
  readonly code = 'DATA';
}

/** A message or frame could not be parsed. It is refused and counted and has no other effect. */
export class ProtocolError extends OperationalError {
  override readonly name = 'ProtocolError';
  readonly code = 'PROTOCOL';
}

/** A worker's parameters (names, shapes, dtypes or initial values) differ from the run's. */
export class LayoutMismatchError extends OperationalError {
  override readonly name = 'LayoutMismatchError';
  readonly code = 'LAYOUT_MISMATCH';
}

/** A message or a worker belongs to a generation that is over. */
export class StaleGenerationError extends OperationalError {
  override readonly name = 'StaleGenerationError';
  readonly code = 'STALE_GENERATION';
}

/** A process of the run has exited or no longer answers; the message contains which. */
export class PeerLostError extends OperationalError {
  override readonly name = 'PeerLostError';
  readonly code = 'PEER_LOST';
}

/** A process that still answers made no progress within its deadline. */
export class DeadlineError extends OperationalError {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE';
}

/** A saved model or checkpoint can't be written or fails verification. */
export class CheckpointError extends OperationalError {
  override readonly name = 'CheckpointError';
  readonly code = 'CHECKPOINT';
}

/** The tensor engine is absent, is damaged, or fails to load. */
export class EngineError extends OperationalError {
  override readonly name: string = 'EngineError';
  readonly code: ErrorCode = 'ENGINE';
}

/** The device of one worker failed or ran out of memory. The worker ends, and the run continues with the others. */
export class DeviceLostError extends EngineError {
  override readonly name = 'DeviceLostError';
  override readonly code = 'DEVICE_LOST';
}

/** The model can't be trained with bit-for-bit identical results; the message contains the layer. */
export class ModelError extends OperationalError {
  override readonly name = 'ModelError';
  readonly code = 'MODEL';
}

/** The loss or a gradient is not a finite number. */
export class DivergedError extends OperationalError {
  override readonly name = 'DivergedError';
  readonly code = 'DIVERGED';
}

/** A function of the training definition failed; the message contains its file and line. Exit status 2. */
export class UserCodeError extends OperationalError {
  override readonly name = 'UserCodeError';
  readonly code = 'USER';
}

/** The run was interrupted by a signal; docs/exit-status.md lists the exit statuses. */
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
  DEVICE_LOST: DeviceLostError,
  MODEL: ModelError,
  DIVERGED: DivergedError,
  USER: UserCodeError,
  INTERRUPTED: InterruptedError,
} as const satisfies Record<ErrorCode, new (message: string, fields?: ErrorFields) => OperationalError>;

export const errorCodes = Object.keys(classes) as ErrorCode[];

/** The serializable part of an error. */
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

/** The `code` of one of Node's system errors, for example ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Attributes exceptions to the user's files: the training definition and what it imports. An exception of a user's function is
 * reported with its file and line, and never as a bug of Lockstep. Definitions in TypeScript are transpiled line by line, so the
 * lines of a stack are those of the source.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvariantError, OperationalError, toWireError, UserCodeError, type WireError } from './errors.js';

interface Frame {
  /** `user` is every file outside of Lockstep and of node_modules. */
  readonly owner: 'lockstep' | 'dependency' | 'user';
  readonly file: string;
  readonly line: number;
}

const ownRoot = fileURLToPath(new URL('../', import.meta.url));
/** Kernels that are registered with tfjs, so that the user's code calls them through it. */
const kernels = join(ownRoot, 'worker', 'kernels');
const framePattern = /^\s+at (?:async )?(?:.*\()?((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^()]*?):(\d+):\d+\)?$/;
const maxReasonLength = 2_000;

/** Makes stacks deep enough to reach the user's code through tfjs, whose own calls fill Node's ten frames. */
export function keepDeepStacks(): void {
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 100);
}

/**
 * Runs a function of the training definition, or a promise that it returns. Every error that is neither an OperationalError nor a
 * bug of Lockstep becomes a UserCodeError.
 * @param what names the function, e.g. `loss`
 */
export function inUserCode<T>(what: string, body: () => T): T {
  const rethrow = (error: unknown): never => {
    throw isOurs(error) ? error : userCodeError(what, error);
  };
  try {
    const result = body();
    return isThenable(result) ? (Promise.resolve(result).catch(rethrow) as T) : result;
  } catch (error) {
    return rethrow(error);
  }
}

/**
 * Returns a UserCodeError if `error` was thrown by the user's code, or by a library that this code called; else `error` itself.
 * For errors that come out of Lockstep's own code, such as those of a custom layer in the middle of a step.
 */
export function attributeError(error: unknown): unknown {
  if (isTyped(error)) return error;
  // Lockstep throws errors only. Node wraps a rejection with another value in an error of its own.
  if (!(error instanceof Error) || ('code' in error && error.code === 'ERR_UNHANDLED_REJECTION'))
    return userCodeError('custom code', error);
  const first = framesOf(error).find(({ owner }) => owner !== 'dependency');
  return first?.owner === 'user' ? userCodeError('custom code', error) : error;
}

/** An error for the coordinator, attributed to the user's code if it was thrown there. */
export function failureOf(thrown: unknown): { readonly error: unknown; readonly wire: WireError } {
  const error = attributeError(thrown);
  return { error, wire: toWireError(error) };
}

/** Returns ` (file:line)` of the user's code in which an error was thrown; empty if its stack contains none. */
export function placeOf(error: unknown): string {
  const frame = userFrame(error);
  return frame ? ` (${frame.file}:${frame.line})` : '';
}

const strayReports = new Set<(error: UserCodeError) => void>();

/**
 * Calls `report` for errors of the user's code that no call returns: exceptions in timers and rejections that are not handled. Other
 * such errors end the process as usual. Returns a function that stops this.
 */
export function onStrayUserError(report: (error: UserCodeError) => void): () => void {
  strayReports.add(report);
  // A capture callback precedes listeners. tfjs's WebAssembly module has a listener that throws the error again.
  if (!process.hasUncaughtExceptionCaptureCallback()) process.setUncaughtExceptionCaptureCallback(captured);
  return () => {
    strayReports.delete(report);
    if (strayReports.size === 0) process.setUncaughtExceptionCaptureCallback(null);
  };
}

function captured(thrown: unknown): void {
  const error = attributeError(thrown);
  if (error instanceof UserCodeError) {
    for (const report of [...strayReports]) report(error);
    return;
  }
  process.setUncaughtExceptionCaptureCallback(null);
  setImmediate(() => {
    throw thrown;
  });
}

/** True for a promise, also one of another library. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Describes a value of the wrong type, for "got ...". */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (isThenable(value)) return 'a promise';
  if (Array.isArray(value)) return 'an array';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name = (value.constructor as { name?: string } | undefined)?.name ?? '';
  return name === '' || name === 'Object' ? 'an object' : `an object of class ${name}`;
}

function userCodeError(what: string, error: unknown): UserCodeError {
  const reason =
    error instanceof Error
      ? `${error.name}: ${error.message}`
      : `a thrown ${describeValue(error)}: ${String(error)}`;
  const frame = userFrame(error);
  return new UserCodeError(
    `${what}: the training definition's code failed with ${reason.slice(0, maxReasonLength).replace(/\.$/, '')}${placeOf(error)}. ` +
      'Correct that code; Lockstep only called it.',
    { what, file: frame?.file, line: frame?.line },
    error,
  );
}

/** True for the errors that Lockstep itself throws. */
export const isTyped = (error: unknown): boolean =>
  error instanceof OperationalError || error instanceof InvariantError;

/** True for errors with a type of Lockstep, and for others that Lockstep's own code threw. */
function isOurs(error: unknown): boolean {
  if (isTyped(error)) return true;
  return error instanceof Error && framesOf(error)[0]?.owner === 'lockstep';
}

function userFrame(error: unknown): Frame | undefined {
  return error instanceof Error ? framesOf(error).find(({ owner }) => owner === 'user') : undefined;
}

/** The frames of an error's stack that lie in files, innermost first; Node's own are left out. */
function framesOf({ stack = '' }: Error): Frame[] {
  return stack.split('\n').flatMap((text): Frame[] => {
    const [, path, line] = framePattern.exec(text) ?? [];
    if (path === undefined) return [];
    const file = path.startsWith('file:') ? fileURLToPath(path) : path;
    const isDependency = /[\\/]node_modules[\\/]/.test(file);
    const isLibrary = isDependency && !file.startsWith(ownRoot);
    const owner =
      isLibrary || file.startsWith(kernels) ? 'dependency' : file.startsWith(ownRoot) ? 'lockstep' : 'user';
    return [{ owner, file, line: Number(line) }];
  });
}

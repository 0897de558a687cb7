/**
 * Classifies the failure of one of Lockstep's own TensorFlow ops (native/) that is run on zeros to find out whether it
 * can be used. Does not run ops.
 */
import { EngineError } from '../../shared/errors.js';

/**
 * - `unregistered`: the binding does not contain the op: the engine is not Lockstep's, the ops were not compiled, or
 *   their registration failed, in which case native/registration.h wrote the reason to stderr.
 * - `unsupported`: the op is registered, and its kernel needs instructions that this CPU lacks.
 */
export interface OwnOpFailure {
  readonly kind: 'unregistered' | 'unsupported';
  /** A clause without a final period. */
  readonly reason: string;
}

/** TF_Code of TensorFlow's C API (tensorflow/c/tf_status.h). */
const codes = { notFound: 5, unimplemented: 12 } as const;

/** Errors of tfjs-node's binding contain TensorFlow's status code and message in this form. */
const bindingError = /^Invalid TF_Status: (\d+)\s+Message: ([\s\S]*)$/;

/**
 * Classifies `error`, which running op `op` on zeros threw.
 * @throws EngineError for any other failure: kernels with other bits must not replace a defective op silently
 */
export function ownOpFailure(op: string, error: unknown): OwnOpFailure {
  const text = error instanceof Error ? error.message : String(error);
  const [, code = '', message = text] = bindingError.exec(text) ?? [];
  const reason = message.trim();
  if (Number(code) === codes.notFound) return { kind: 'unregistered', reason: `op ${op} is not registered` };
  if (Number(code) === codes.unimplemented) return { kind: 'unsupported', reason };
  throw new EngineError(
    `Op ${op}: expected it to run on zeros, got "${reason}". ` +
      'Run `lockstep engine install --force`, or choose WebAssembly with `--engine wasm`.',
    { op },
    error,
  );
}

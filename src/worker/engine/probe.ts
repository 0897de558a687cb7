/**
 * Tries a binding in a separate process, because a library for another processor kills the process that loads it.
 * Reports what the binding contains; does not decide whether it is installed or used.
 */
import { z } from 'zod';
import { EngineError } from '../../shared/errors.js';
import { ownOpFailure, type OwnOpFailure } from './own-op-failure.js';
import { runProgram } from './process.js';

const probeSchema = z.object({
  tensorflowVersion: z.string(),
  gpu: z.boolean(),
  squares: z.array(z.number()),
  /** The error of each of Lockstep's own ops, by name; null if it ran. Empty on a GPU, where the ops are not used. */
  ownOps: z.record(z.string(), z.string().nullable()),
});

export interface ProbeResult {
  readonly tensorflowVersion: string;
  /** True if TensorFlow finds a GPU that it can use. */
  readonly gpu: boolean;
  /** Lockstep's own ops that this binding or this CPU does not have. */
  readonly ownOpFailures: readonly OwnOpFailure[];
}

// The script is plain JavaScript, because it runs without a compiler or a loader; argv[1] is the binding.
const script = `
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
const b = require(process.argv[1]);
const x = b.createTensor([2], b.TF_FLOAT, new Float32Array([3, 4]));
const [y] = b.executeOp('Square', [{ name: 'T', type: b.TF_ATTR_TYPE, value: b.TF_FLOAT }], [x], 1);
const squares = Array.from(b.tensorDataSync(y.id));
const zeros = (...shape) => b.createTensor(shape, b.TF_FLOAT, new Float32Array(shape.reduce((size, n) => size * n, 1)));
const ownOps = {};
const run = (name, attributes, inputs) => {
  try {
    b.executeOp(name, attributes, inputs, 1);
    ownOps[name] = null;
  } catch (error) {
    ownOps[name] = error.message;
  }
};
const gpu = b.isUsingGpuDevice();
if (!gpu) {
  run('LockstepMoments', [], [zeros(1, 16)]);
  run('LockstepConv', [{ name: 'precision', type: b.TF_ATTR_INT, value: 0 }], [zeros(1, 1, 1, 16), zeros(3, 3, 16, 16)]);
}
process.stdout.write('\\n' + JSON.stringify({ tensorflowVersion: b.TF_Version, gpu, squares, ownOps }));
`;

/**
 * Loads `binding`, computes a square and runs Lockstep's own ops with it.
 * @throws EngineError if the binding does not load or compute, or if one of the own ops is there and fails
 */
export async function probeBinding(binding: string): Promise<ProbeResult> {
  const { status, stdout, failure } = await runProgram(process.execPath, ['-e', script, binding], {
    timeoutMs: 120_000,
  });
  const answer = status === 0 ? parseAnswer(stdout) : undefined;
  if (answer?.squares.join() === '9,16') {
    const ownOpFailures = Object.entries(answer.ownOps).flatMap(([op, message]) =>
      message === null ? [] : [ownOpFailure(op, new Error(message))],
    );
    return { tensorflowVersion: answer.tensorflowVersion, gpu: answer.gpu, ownOpFailures };
  }
  throw new EngineError(
    `Trying ${binding}: expected it to load and to square 3 and 4, got ${failure || stdout.trim() || 'no answer'}. ` +
      'Install another build with `lockstep engine install --force --from DIR`.',
    { path: binding },
  );
}

function parseAnswer(stdout: string): z.infer<typeof probeSchema> | undefined {
  try {
    return probeSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  } catch {
    return undefined;
  }
}

/**
 * Tries a binding in a separate process, since a library for another processor kills the process that loads it.
 */
import { z } from 'zod';
import { EngineError } from '../../shared/errors.js';
import { runProgram } from './process.js';

const probeSchema = z.object({
  tensorflowVersion: z.string(),
  gpu: z.boolean(),
  squares: z.array(z.number()),
});

export interface ProbeResult {
  readonly tensorflowVersion: string;
  /** True if TensorFlow finds a GPU that it can use. */
  readonly gpu: boolean;
}

// The program is plain text, since it runs without a compiler or loader; argv[1] is the binding.
const script = `
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
const b = require(process.argv[1]);
const x = b.createTensor([2], b.TF_FLOAT, new Float32Array([3, 4]));
const [y] = b.executeOp('Square', [{ name: 'T', type: b.TF_ATTR_TYPE, value: b.TF_FLOAT }], [x], 1);
const squares = Array.from(b.tensorDataSync(y.id));
process.stdout.write('\\n' + JSON.stringify({ tensorflowVersion: b.TF_Version, gpu: b.isUsingGpuDevice(), squares }));
`;

/** Loads `binding`, computes a square with it and reports what it is. @throws EngineError if any of it fails */
export async function probeBinding(binding: string): Promise<ProbeResult> {
  const { status, stdout, failure } = await runProgram(process.execPath, ['-e', script, binding], {
    timeoutMs: 120_000,
  });
  const answer = status === 0 ? parseAnswer(stdout) : undefined;
  if (answer?.squares.join() === '9,16') {
    return { tensorflowVersion: answer.tensorflowVersion, gpu: answer.gpu };
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

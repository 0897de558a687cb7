/**
 * The environment variables that TensorFlow reads while its library loads. Pure: src/cli (or whoever forks a worker)
 * assigns the result to process.env before `loadEngine`; afterwards they have no effect.
 */

/** `auto`: TensorFlow's choice. `cpu`: hide every GPU. A number: that GPU alone. */
export type EngineDevice = 'auto' | 'cpu' | number;

export interface EngineEnvironmentOptions {
  /**
   * Threads that one op may use. Part of what defines a run's bits: Conv2DBackpropFilter sums in another order with
   * another count.
   */
  readonly threads: number;
  readonly device: EngineDevice;
  /** TF_CPP_MIN_LOG_LEVEL as the user set it; default '2', which leaves errors only. */
  readonly logLevel?: string | undefined;
}

/** What must be in process.env before the load. */
export function engineEnvironment({
  threads,
  device,
  logLevel = '2',
}: EngineEnvironmentOptions): Record<string, string> {
  return {
    TF_NUM_INTRAOP_THREADS: String(threads),
    // tfjs runs one op after the other, so threads between ops would only wait.
    TF_NUM_INTEROP_THREADS: '1',
    TF_CPP_MIN_LOG_LEVEL: logLevel,
    // TensorFlow's default on x86, said aloud: it changes the bits, and a default may change.
    TF_ENABLE_ONEDNN_OPTS: '1',
    ...visibleDevices(device),
  };
}

function visibleDevices(device: EngineDevice): Record<string, string> {
  if (device === 'cpu') return { CUDA_VISIBLE_DEVICES: '-1' };
  // Without growth, the first process on a GPU takes all of its memory and the second one fails.
  const growth = {
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    // Convolution gradients and reductions that add in a fixed order, and products in full float32: the bits promise.
    TF_DETERMINISTIC_OPS: '1',
    NVIDIA_TF32_OVERRIDE: '0',
  };
  return device === 'auto' ? growth : { ...growth, CUDA_VISIBLE_DEVICES: String(device) };
}

/**
 * The environment variables that TensorFlow reads while its library loads. Pure: the process that loads the
 * engine assigns the result to process.env before `loadEngine`; afterwards they have no effect.
 */

/** `auto` leaves the choice to TensorFlow, `cpu` hides every GPU, and a number selects that GPU alone. */
export type EngineDevice = 'auto' | 'cpu' | number;

export interface EngineEnvironmentOptions {
  /**
   * Number of threads of one op. It is part of what determines a run's bits: Conv2DBackpropFilter sums in another order
   * with another number.
   */
  readonly threads: number;
  readonly device: EngineDevice;
  /** TF_CPP_MIN_LOG_LEVEL as the user set it; default '2', which leaves errors only. */
  readonly logLevel?: string | undefined;
}

/** Returns the variables that must be in process.env before the load. */
export function engineEnvironment({
  threads,
  device,
  logLevel = '2',
}: EngineEnvironmentOptions): Record<string, string> {
  return {
    TF_NUM_INTRAOP_THREADS: String(threads),
    // tfjs runs one op after the other, so threads between ops would be idle.
    TF_NUM_INTEROP_THREADS: '1',
    TF_CPP_MIN_LOG_LEVEL: logLevel,
    // This is TensorFlow's default on x86, set explicitly because it changes the bits and a default may change.
    TF_ENABLE_ONEDNN_OPTS: '1',
    ...visibleDevices(device),
  };
}

function visibleDevices(device: EngineDevice): Record<string, string> {
  if (device === 'cpu') return { CUDA_VISIBLE_DEVICES: '-1' };
  // Without growth, the first process on a GPU reserves all of its memory and the second one fails.
  const growth = {
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    // Equal bits need convolution gradients and reductions with a fixed order of sums, and products in full float32.
    TF_DETERMINISTIC_OPS: '1',
    NVIDIA_TF32_OVERRIDE: '0',
  };
  return device === 'auto' ? growth : { ...growth, CUDA_VISIBLE_DEVICES: String(device) };
}

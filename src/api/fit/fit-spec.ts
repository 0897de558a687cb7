/** The files that `fit` writes for its workers, in a temporary folder. Types and names only. */

/** Name of the description in the folder. */
export const specName = 'fit.json';
/** Name of the file with the newest permission; see `FitPermission`. */
export const permissionName = 'permission.json';
/** Folder of the model. */
export const modelName = 'model';

/** A tensor in a file of little-endian values, samples first. */
export interface TensorFile {
  readonly file: string;
  /** Shape of one sample. */
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
}

export interface SplitFiles {
  readonly count: number;
  readonly inputs: readonly TensorFile[];
  /** With `weighted`, each sample is a flat list that ends with the sample's weight. */
  readonly targets: readonly TensorFile[];
}

/** A loss or a metric: a name of tfjs, or a function of `tf.losses` or `tf.metrics`. */
export type NamedFunction = string | { readonly from: 'losses' | 'metrics'; readonly name: string };

/** The arguments of `model.compile`. */
export interface CompileSpec {
  readonly optimizer: { readonly className: string; readonly config: Readonly<Record<string, unknown>> };
  /** One loss for all outputs, one per output in order, or one per output by name. */
  readonly loss: NamedFunction | readonly NamedFunction[] | Readonly<Record<string, NamedFunction>>;
  readonly metrics:
    readonly NamedFunction[] | Readonly<Record<string, NamedFunction | readonly NamedFunction[]>>;
}

export interface FitSpec {
  readonly dataSha256: string;
  readonly train: SplitFiles;
  readonly validation: SplitFiles | null;
  /** Names of the model's outputs, and the shapes of their targets per sample. */
  readonly outputs: readonly { readonly name: string; readonly targetShape: readonly number[] }[];
  readonly compile: CompileSpec;
  /** Output of each metric, in the order of tfjs's metrics without the loss. */
  readonly metrics: readonly { readonly output: number }[];
  /** True if the targets contain weights. */
  readonly weighted: boolean;
  /** Modules that register the classes of custom layers. */
  readonly modules: readonly string[];
  /** Values of configuration fields. */
  readonly values: Readonly<Record<string, unknown>>;
  /** True if each epoch waits for a permission. */
  readonly asksPermission: boolean;
  /** The optimizer's state; null if it has made no update. The vectors are files, by their names. */
  readonly optimizerState: {
    readonly updates: number;
    readonly vectors: Readonly<Record<string, readonly string[]>>;
  } | null;
}

/** Epochs below `epochs` may begin, counted from 0. */
export interface FitPermission {
  readonly epochs: number;
  /** True if the training ends before the epoch `epochs`. */
  readonly stops: boolean;
}

/** Name of a metric in the configuration of the run. tfjs's names may contain characters that a configuration does not permit. */
export const metricName = (index: number): string => `metric${index}`;

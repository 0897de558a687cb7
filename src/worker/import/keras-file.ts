/** Types of the conversion of a model.json that Keras wrote. Types only. */

export type JsonObject = Record<string, unknown>;

/** The facts about a file that the conversion of each of its layers needs. */
export interface KerasFile {
  /** Path of the model.json, for errors. */
  readonly file: string;
  /** True if Keras, and not tfjs, wrote the file. */
  readonly isKeras: boolean;
  /** True if Keras 3 wrote the file. */
  readonly isKeras3: boolean;
  /** True if a layer of the model masks steps of a sequence. */
  readonly hasMasks: boolean;
  /** Returns true for a class of tfjs or a registered one: a layer, an activation, an initializer or the like. */
  readonly knows: (className: string) => boolean;
}

/** A call of a layer as Keras 3 writes it. */
export interface Keras3Call {
  readonly args: readonly unknown[];
  readonly kwargs?: JsonObject;
}

/** Throws the ModelError for a field of a layer. */
export type Refuse = (field: string, problem: string) => never;

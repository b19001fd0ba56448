/** MLflow's forms of an input example as the body of a native invocation. */
const nativeKeys = ['dataframe_split', 'dataframe_records', 'instances', 'inputs']

/**
 * A table is written as `{"columns", "data"}`, an array as a bare list or `{"inputs": …}`, several arrays as an object of lists;
 * a serving example is a native body already.
 */
export function exampleFromMlflow(example: unknown): unknown {
  if (typeof example !== 'object' || example === null || Array.isArray(example)) return { inputs: example }
  if (nativeKeys.some((key) => Object.hasOwn(example, key))) return example
  if ('data' in example && Array.isArray(example.data)) return { dataframe_split: example }
  return { inputs: example }
}

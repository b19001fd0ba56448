import { describe, expect, it } from 'vitest'
import type { Tensor } from '#contracts/tensor.ts'
import { tensorFromJson, tensorToJson } from '#src/gateway/json-tensor.ts'

describe('tensors in JSON', () => {
  it.each([
    [
      'float32',
      [
        [1.5, -2],
        [0, 3],
      ],
    ],
    ['float64', [0.1, 1e300]],
    ['float16', [0.5, 65504]],
    ['int8', [-128, 127]],
    ['uint8', [0, 255]],
    ['int16', [-32768, 32767]],
    ['uint16', [0, 65535]],
    ['int32', [-2147483648, 2147483647]],
    ['uint32', [0, 4294967295]],
    ['int64', [[-9007199254740991, 9007199254740991]]],
    ['uint64', [0, 9007199254740991]],
    ['bool', [true, false]],
    ['string', [['a', '']]],
  ] as const)('of dtype %s come back as they went in', (dtype, value) => {
    expect(tensorToJson(tensorFromJson(value, dtype, 'x'))).toEqual(value)
  })

  it('carry what JSON numbers cannot as strings', () => {
    const special = ['NaN', 'Infinity', '-Infinity']
    expect(tensorToJson(tensorFromJson(special, 'float32', 'x'))).toEqual(special)
    const large = ['9223372036854775807', '-9223372036854775808']
    expect(tensorToJson(tensorFromJson(large, 'int64', 'x'))).toEqual(large)
  })

  it('may be scalars, empty, or have axes of size zero', () => {
    expect(tensorFromJson(3, 'float32', 'x').shape).toEqual([])
    expect(tensorFromJson([], 'float32', 'x').shape).toEqual([0])
    expect(tensorFromJson([[], []], 'float32', 'x').shape).toEqual([2, 0])
  })

  it('take bytes as base64, as a data URL, or as {"b64"}', () => {
    const forms = ['AQID', 'data:image/png;base64,AQID', { b64: 'AQID' }]
    const tensor = tensorFromJson(forms, 'binary', 'x') as Extract<Tensor, { dtype: 'binary' }>
    expect(tensor.items.map((item) => [...item])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ])
  })

  it.each([
    [[[1, 2], [3]], 'float32', 'x[1]: expected a list of 2, got a list of 1: the lists are ragged'],
    [[1, [2]], 'float32', 'x[1]: expected one value, got a list of 1: the lists are ragged'],
    [[1, null], 'float32', 'x[1]: expected a number (float32), got null'],
    [['1'], 'float32', 'x[0]: expected a number (float32), got the string "1"'],
    [[1.5], 'int32', 'x[0]: expected an integer (int32), got the number 1.5'],
    [[300], 'uint8', "x[0]: 300 is outside uint8's range 0 to 255"],
    [[2 ** 53], 'int64', 'x[0]: 9007199254740992 is beyond 2^53 − 1; send it as a string of digits'],
    [['9223372036854775808'], 'int64', 'x[0]: 9223372036854775808 is outside the range of int64'],
    [[2], 'bool', 'x[0]: expected true or false, got the number 2'],
    [[1], 'string', 'x[0]: expected a string, got the number 1'],
    [['%%%'], 'binary', 'x[0]: the string "%%%" is not base64'],
  ] as const)('name the element at fault: %j as %s', (value, dtype, message) => {
    expect(() => tensorFromJson(value, dtype, 'x')).toThrow(message)
  })

  it('refuse lists that nest deeper than any tensor', () => {
    let value: unknown = 1
    for (let depth = 0; depth < 40; depth++) value = [value]
    expect(() => tensorFromJson(value, 'float32', 'x')).toThrow('nests deeper than the 16 dimensions')
  })
})

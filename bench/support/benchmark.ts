/** What a benchmark returns; `bench/main.ts` prints it. */
export interface BenchmarkResult {
  rows: readonly Record<string, string | number>[]
  ratios: Record<string, number>
  values: Record<string, number>
}

export type Benchmark = () => Promise<BenchmarkResult>

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits))
}

/** @param share From 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

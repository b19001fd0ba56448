/** An endpoint of a benchmark's own, built as glim's are, to be put in the place of one of them. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Resolves to the module's source. @param file path below `bench/`. */
export async function bundledEndpoint(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`../${file}`, import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: ['cloudflare:*', 'module', 'worker_threads', 'node:*', 'path', 'fs', 'url', 'os'],
    plugins: [
      {
        name: 'shared-wasm',
        setup: ({ onResolve }) => onResolve({ filter: /ort\.wasm$/ }, () => ({ path: './ort.wasm', external: true })),
      },
    ],
  })
  return outputFiles[0]!.text
}

/** A process that imports into a directory store: `node directory-writer.ts FOLDER SEED COUNT`; prints a line per blob. */
import { openDirectoryStore } from '#model-cache/stores/directory.ts'
import { randomFrom, sha256 } from './bytes.ts'

const [folder = '', seed = '1', count = '1'] = process.argv.slice(2)
const random = randomFrom(Number(seed))
const store = await openDirectoryStore(folder)
for (let blob = 0; blob < Number(count); blob++) {
  const bytes = random.bytes(200_000)
  await store.put(sha256(bytes), bytes)
  process.stdout.write('.\n')
}

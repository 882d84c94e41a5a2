// The flows look at the pages as they are served, so what stands in dist/ must be what stands in the sources. One process builds
// at a time: other test files may be serving what a build would empty.
import { join } from 'node:path'
import { buildPages } from '../../sandbox/demo/build.ts'
import { whileHolding } from './lock.ts'

export default async function setup(): Promise<void> {
  await whileHolding(join(import.meta.dirname, '../../node_modules/.cms-build.lock'), buildPages)
}

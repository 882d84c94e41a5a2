// `npm run sandbox`: reads the flags, starts the sandbox, prints its addresses and people, ends on Ctrl-C. Nothing else.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSandbox, firstPort, type SandboxOptions } from './sandbox.ts'

const usage = `npm run sandbox -- [--stack DIR] [--keep] [--port N] [--limits off]
  --stack DIR   add a stack exported by Contentstack's CLI (csdx cm:stacks:export)
  --keep        continue the world of the last run with --keep, kept in .quayside/sandbox.json
  --port N      first of five ports, ${firstPort} unless set (also SANDBOX_PORT); 0 takes free ones
  --limits off  admit any number of requests per second`

function readFlags(): SandboxOptions {
  const { values } = parseArgs({
    options: {
      stack: { type: 'string' },
      keep: { type: 'boolean', default: false },
      port: { type: 'string' },
      limits: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    process.exit(0)
  }
  if (values.limits !== undefined && values.limits !== 'off') throw new Error('--limits only knows: off')
  const text = values.port ?? process.env.SANDBOX_PORT ?? String(firstPort)
  const first = Number(text)
  if (!Number.isInteger(first) || first < 0 || first > 65_531)
    throw new Error(`--port (or SANDBOX_PORT) is a port from 0 to 65531, not "${text}"`)
  const names = ['application', 'contentManagement', 'developerHub', 'identity', 'control'] as const
  return {
    ports: Object.fromEntries(names.map((name, index) => [name, first === 0 ? 0 : first + index])),
    ...(values.stack !== undefined && { stackDirectory: values.stack }),
    ...(values.keep && { snapshotFile: join(import.meta.dirname, '../.quayside/sandbox.json') }),
    ...(values.limits === 'off' && { limits: 'off' as const })
  }
}

try {
  const sandbox = await createSandbox(readFlags())
  const { urls, world, notes } = sandbox
  for (const note of notes) console.log(note)
  console.log(`
CMS page            ${urls.application}
Content management  ${urls.contentManagement}/v3
Developer Hub       ${urls.developerHub}
Identity provider   ${urls.identity}
Control             ${urls.control}/world
`)
  for (const stack of Object.values(world.stacks)) console.log(`Stack ${stack.name}  api_key ${stack.apiKey}`)
  for (const user of Object.values(world.users)) console.log(`${user.firstName} ${user.lastName}  ${user.email}  ${user.password}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void sandbox.close().then(() => process.exit(0))
    })
  }
} catch (error) {
  // An unknown flag is a TypeError with a code; any other TypeError is ours, and its stack is wanted.
  const unknownFlag = error instanceof TypeError && 'code' in error
  const expected = error instanceof Error && (unknownFlag || !(error instanceof TypeError))
  console.error(expected ? `${error.message}\nAll flags: npm run sandbox -- --help` : error)
  process.exitCode = 1
}

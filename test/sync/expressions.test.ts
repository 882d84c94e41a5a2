import { execFileSync } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { namesOf, whyRefused } from '../../server/sync/expression.ts'
import { createExpressions, type Evaluation } from '../../server/sync/expressions.ts'

const expressions = createExpressions({ recordSeconds: 1 })
afterAll(() => expressions.close())
const never = new AbortController().signal
const one = async (expression: string, record: unknown): Promise<Evaluation | undefined> =>
  (await expressions.evaluate('ins_a', [expression], [record], never))[0]?.[0]
const long = `${'a'.repeat(40)}!`

describe('a hostile expression', () => {
  it.each<[string, string, RegExp]>([
    ['recursion without an end', '($f := function($n){ 1 + $f($n) }; $f(1))', /Stack overflow/],
    ['recursion that needs no stack', '($f := function($n){ $f($n) }; $f(1))', /longer than 1 s/],
    ['a regular expression that backtracks', '$match(a, /^(a+)+$/)', /longer than 1 s/],
    ['a text of 1e9 characters', '$pad("x", 1000000000)', /string length|memory/],
    ['memory outside the heap', '$pad("x", 100000000)', /more than 256 MB/],
    ['memory in the heap', '$map([1..100000], function($i){ $pad("x", 10000) })', /more than 256 MB|longer than 1 s/],
    ['a range of 1e7', '[1..10000000]', /maximum sequence length/],
    ['a product of ranges', '[1..100000].[1..100000]', /more than 256 MB|longer than 1 s/],
    ['a text that doubles', '($g := function($s){ $g($s & $s) }; $g("xxxx"))', /string length|memory/],
    ['an error of its own', '$error("no")', /failed: no/],
    ['a function instead of a value', '$sum', /gives a function/],
    ['a function hidden in a value', '{"toJSON": function($x){$x}}', /gives a function/],
    ['a value too long', '$pad("x", 1000001)', /1000003 characters/],
    ['too many steps inwards', `a${'.**'.repeat(1200)}`, /./]
  ])('(%s) ends within its cap, and the records around it are mapped', async (_, hostile, error) => {
    const bad = { bad: true, a: long }
    const guarded = `bad ? (${hostile}) : a`
    const began = Date.now()
    const results = await expressions.evaluate('ins_a', [guarded], [{ a: 'before' }, bad, { a: 'after' }], never)
    expect(Date.now() - began).toBeLessThan(10_000)
    expect([results[0], results[2]]).toEqual([[{ value: '"before"' }], [{ value: '"after"' }]])
    if (hostile.startsWith('a.')) return
    expect(results[1]).toEqual([{ error: expect.stringMatching(error) as string }])
  })

  it.each([
    '__proto__',
    'constructor',
    'a.constructor',
    'constructor.constructor("return process")()',
    '$lookup($, "__proto__")',
    'toString'
  ])('finds nothing behind %s', async expression => {
    expect(await one(expression, { a: {} })).toEqual({ value: 'null' })
  })

  it('leaves no trace for the next record', async () => {
    for (const trace of ['$merge([{"__proto__": {"left": 1}}, $])', '$ ~> |$|{"__proto__": {"left": 1}}|', '($left := 1; $left)'])
      await one(trace, { a: 1 })
    expect(await one('[left, $left, {}.left]', { a: 1 })).toEqual({ value: '[]' })
  })

  it('that ends its process at every record is given up after a few, so that others get their turn', async () => {
    const began = Date.now()
    const records = Array.from({ length: 50 }, () => ({ a: long }))
    const results = await expressions.evaluate('ins_a', ['$match(a, /^(a+)+$/)'], records, never)
    expect(Date.now() - began).toBeLessThan(15_000)
    expect(results.map(([result]) => (result && 'error' in result ? result.error : ''))).toEqual([
      ...Array.from({ length: 5 }, () => 'took longer than 1 s.'),
      ...Array.from({ length: 45 }, () => 'was not tried: it ended its process at 5 records before this one.')
    ])
  })
})

describe('the process of expressions', () => {
  it('names the expression that ended it, and keeps what those before it gave', async () => {
    const results = await expressions.evaluate('ins_a', ['a', '$pad("x", 100000000)', 'a'], [{ a: 1 }], never)
    expect(results[0]).toEqual([
      { value: '1' },
      { error: 'needed more than 256 MB of memory.' },
      { error: 'was not tried: one before it ended the process.' }
    ])
  })

  it('knows no clock and no chance', async () => {
    expect(await one('$toMillis("10:30", "[H01]:[m01]")', {})).toEqual({ value: '37800000' })
    expect(await one('$now()', {})).toEqual({ value: '"1970-01-01T00:00:00.000Z"' })
    expect(await one('$random()', {})).toEqual({ value: '0' })
  })

  it('is no two tenants’ at once, and of no more than two at a time', async () => {
    const slow = '($f := function($n){ $n = 0 ? 1 : $f($n - 1) }; $f(500))'
    const results = await Promise.all(['ins_a', 'ins_b', 'ins_c', 'ins_d'].map(tenant => expressions.evaluate(tenant, [slow], [{}], never)))
    expect(results.flat(2)).toEqual(Array.from({ length: 4 }, () => ({ value: '1' })))
    expect(childrenOf(process.pid)).toBeLessThanOrEqual(2)
  })

  it('stops when its caller does', async () => {
    const caller = new AbortController()
    const asked = expressions.evaluate('ins_a', ['$match(a, /^(a+)+$/)'], [{ a: long }], caller.signal)
    setTimeout(() => caller.abort(new Error('the job was taken away')), 100)
    await expect(asked).rejects.toThrow('the job was taken away')
    expect(await one('a', { a: 1 })).toEqual({ value: '1' })
  })

  it('takes ten thousand records in batches', async () => {
    const records = Array.from({ length: 10_000 }, (_, index) => ({ index, text: 'x'.repeat(500) }))
    const results = await expressions.evaluate('ins_a', ['index * 2'], records, never)
    expect(results.map(([result]) => result && 'value' in result && result.value)).toEqual(records.map(({ index }) => String(index * 2)))
  })

  it('is not started for nothing', async () => {
    const unused = createExpressions()
    const before = childrenOf(process.pid)
    expect(await unused.evaluate('ins_z', [], [{ a: 1 }], never)).toEqual([[]])
    expect(childrenOf(process.pid)).toBe(before)
    unused.close()
  })
})

describe('an expression', () => {
  it.each([
    ['', /is empty/],
    ['a.b +', /at character 5: Unexpected end/],
    ['$f(1', /at character 4/],
    ['a[', /at character 2/],
    ['"open', /at character/],
    ['$now()', /\$now\(\)/],
    ['{"at": $millis()}', /\$millis\(\)/],
    ['a[$random() > 0.5]', /\$random\(\)/],
    ['$map(a, $shuffle)', /\$shuffle\(\)/],
    ['($n := $now; $n())', /\$now\(\)/],
    ['$eval("$now()")', /\$eval\(\)/],
    ['x'.repeat(4001), /4001 characters/],
    [`${'('.repeat(1999)}1${')'.repeat(1999)}`, /nested too deeply|^null$/]
  ])('%j is judged before it is kept', (text, why) => {
    expect(String(whyRefused(text))).toMatch(why)
  })

  it('that is sound is taken, and the fields that it names are known', () => {
    expect(whyRefused('$uppercase(title) & " " & $join(tags, ",")')).toBeNull()
    expect([...namesOf('$uppercase(title) & place.city & $$.words[0] & $lookup($, "x")')].sort()).toEqual([
      'city',
      'place',
      'title',
      'words'
    ])
  })
})

function childrenOf(pid: number): number {
  return execFileSync('ps', ['-e', '-o', 'ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line.trim().startsWith(`${pid} `) && line.includes('expression-process')).length
}

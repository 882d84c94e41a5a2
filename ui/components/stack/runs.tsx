// Runs: a table of them, and one run watched while it works.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Run } from '../../../server/http/contract/stack.ts'
import { Button, count, counted, Empty, Id, Notice, Problem, Progress, Waiting } from '../basics.tsx'
import { Chart } from '../chart.tsx'
import { Confirm } from '../dialog.tsx'
import { type Column, Table } from '../list.tsx'
import { runStates, State } from '../state.tsx'
import { duration, Time, useNow } from '../time.tsx'
import { addSample, rateOf, rates, runningRun, type Sample, settled, timeLeft } from './progress.ts'
import { RecordsSection } from './records.tsx'
import { useRefresh, useRun, useRuns, useStack } from './stack-view.tsx'

const causes: Record<Run['cause'], string> = {
  initial: 'Initial',
  schedule: 'Schedule',
  person: 'Person',
  reconcile: 'Reconcile',
  push: 'Pushed'
}

export function runColumns(to: (run: Run) => string): Column<Run>[] {
  return [
    { title: 'State', render: run => <State of={runStates[run.status]} /> },
    {
      title: 'Run of',
      render: run => (
        <>
          <Link to={to(run)}>{run.syncName}</Link>
          <p className="meta">{run.stackName}</p>
        </>
      )
    },
    {
      title: 'Cause',
      render: run => (
        <>
          {causes[run.cause]}
          {run.causedBy ? <p className="meta">{run.causedBy}</p> : null}
        </>
      )
    },
    { title: 'Read', number: true, render: run => (run.total === null ? count(run.read) : `${count(run.read)} of ${count(run.total)}`) },
    { title: 'Written', number: true, render: run => count(run.written) },
    { title: 'Skipped', number: true, render: run => count(run.skipped) },
    { title: 'Failed', number: true, render: run => (run.failed > 0 ? <strong className="tone-bad">{count(run.failed)}</strong> : '0') },
    { title: 'Began', render: run => <Time at={run.startedAt ?? run.createdAt} /> },
    { title: 'Took', number: true, render: run => (run.startedAt === null ? '–' : <Took run={run} />) }
  ]
}

function Took({ run }: { run: Run }) {
  const now = useNow()
  return <span className="time">{run.startedAt === null ? '–' : duration((run.finishedAt ?? now) - run.startedAt)}</span>
}

/** The latest runs of the stack, or of one sync. */
export function RunsSection({ sync, title = 'Runs' }: { sync?: string; title?: string }) {
  const { links } = useStack()
  const [before, setBefore] = useState<string | null>(null)
  const runs = useRuns({ sync: sync ?? null, before })
  return (
    <section className="section" aria-labelledby="runs-heading">
      <h2 id="runs-heading">{title}</h2>
      {runs.data ? (
        runs.data.items.length > 0 ? (
          <Table label="Runs" rows={runs.data.items} rowKey={run => run.id} columns={runColumns(run => links.run(run.id))} />
        ) : (
          <Empty>Every execution of a sync will stand here, with what it read, wrote and could not write.</Empty>
        )
      ) : runs.error ? (
        <Problem error={runs.error} retry={() => void runs.refetch()} />
      ) : (
        <Waiting label="runs" />
      )}
      {before || runs.data?.next ? (
        <nav className="pages" aria-label="Pages of runs">
          {before ? <Button onClick={() => setBefore(null)}>Newest</Button> : null}
          {runs.data?.next ? <Button onClick={() => setBefore(runs.data.next)}>Older</Button> : null}
        </nav>
      ) : null}
    </section>
  )
}

export function RunView({ runId }: { runId: string }) {
  const run = useRun(runId)
  if (!run.data) return run.error ? <Problem error={run.error} retry={() => void run.refetch()} /> : <Waiting label="the run" lines={6} />
  return (
    <>
      <RunProgress run={run.data} seenAt={run.dataUpdatedAt} />
      {run.error ? <Problem error={run.error} /> : null}
      <Failures run={run.data} />
      <RecordsSection run={run.data.id} changed={settled(run.data)} />
    </>
  )
}

function RunProgress({ run, seenAt }: { run: Run; seenAt: number }) {
  const { links } = useStack()
  const [samples, setSamples] = useState<Sample[]>([])
  const done = settled(run)
  const live = runningRun(run)
  if (run.status === 'running' && seenAt > (samples.at(-1)?.at ?? 0)) setSamples(addSample(samples, { at: seenAt, done }))
  // Until this page has looked for a while, the server's own measure.
  const rate = live ? (rateOf(samples) ?? (run.perMinute === null ? null : run.perMinute / 60)) : null
  const left = timeLeft(done, run.total, rate)

  return (
    <section className="panel" aria-label="Progress">
      <div className="panel-body">
        <div className="row-apart">
          <State of={runStates[run.status]} />
          {live ? <CancelRun run={run} /> : null}
        </div>
        {run.error ? <Notice tone={run.status === 'failed' ? 'bad' : 'wait'} title={run.error} /> : null}
        {live ? <Progress done={done} total={run.total} label={`Progress of ${run.syncName}`} /> : null}
        <p className="muted">
          {run.total === null ? `${counted(done, 'record')} done` : `${count(done)} of ${counted(run.total, 'record')} done`}
          {rate === null ? '' : ` · ${count(Math.round(rate))} a second`}
          {left === null ? '' : ` · ${duration(left)} left`}
        </p>
        <dl className="figures">
          <Figure name="Read" value={run.read} />
          <Figure name="Written" value={run.written} />
          <Figure name="Skipped" value={run.skipped} />
          <Figure name="Deleted" value={run.deleted} />
          <Figure name="Failed" value={run.failed} />
        </dl>
        {samples.length > 3 ? (
          <figure>
            <Chart values={rates(samples)} label="Records a second while you watched" />
            <figcaption className="meta">Records a second while you watched</figcaption>
          </figure>
        ) : null}
        <dl className="facts">
          <dt>Cause</dt>
          <dd>
            {causes[run.cause]}
            {run.causedBy ? `, ${run.causedBy}` : ''}
          </dd>
          {run.planId ? (
            <>
              <dt>Carries out</dt>
              <dd>
                <Link to={links.plan(run.planId)}>a plan</Link>
              </dd>
            </>
          ) : null}
          <dt>Began</dt>
          <dd>
            <Time at={run.startedAt} none="not yet" />
          </dd>
          <dt>Ended</dt>
          <dd>
            <Time at={run.finishedAt} none="not yet" />
          </dd>
          <dt>Run</dt>
          <dd>
            <Id value={run.id} />
          </dd>
        </dl>
      </div>
    </section>
  )
}

function Figure({ name, value }: { name: string; value: number }) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd className={name === 'Failed' && value > 0 ? 'tone-bad' : ''}>{count(value)}</dd>
    </div>
  )
}

function CancelRun({ run }: { run: Run }) {
  const { api, can } = useStack()
  const refresh = useRefresh()
  const [asking, setAsking] = useState(false)
  const cancel = useMutation({
    mutationFn: () => api.cancelRun(run.id),
    onSuccess: async () => {
      await refresh()
      setAsking(false)
    }
  })
  if (!can.run) return null
  return (
    <>
      <Button onClick={() => setAsking(true)}>Cancel run</Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Cancel this run of ${run.syncName}?`}
        action="Cancel run"
        danger
        busy={cancel.isPending && 'Cancelling…'}
        error={cancel.error}
        onConfirm={() => cancel.mutate()}
      >
        <p>
          It stops after the record it is at. The {counted(settled(run), 'record')} done so far stay as they are, and a later run skips what
          has not changed.
        </p>
      </Confirm>
    </>
  )
}

function Failures({ run }: { run: Run }) {
  const { id, api } = useStack()
  const [before, setBefore] = useState<string | null>(null)
  const failures = useQuery({
    queryKey: [id, 'failures', run.id, before, run.failed],
    queryFn: ({ signal }) => api.failures(run.id, before, signal),
    enabled: run.failed > 0
  })
  if (run.failed === 0) return null
  return (
    <section className="section" aria-labelledby="failures-heading">
      <h2 id="failures-heading">Records that stand aside ({count(run.failed)})</h2>
      {failures.data ? (
        <Table
          label="Records that stand aside"
          rows={failures.data.items}
          rowKey={record => `${record.key} ${record.locale}`}
          columns={[
            { title: 'Record', render: record => <Id value={record.key} /> },
            { title: 'Entry', render: record => (record.entryUid ? <Id value={record.entryUid} /> : '–') },
            { title: 'Locale', render: record => record.locale },
            { title: 'Why', words: true, render: record => record.error },
            { title: 'When', render: record => <Time at={record.at} /> }
          ]}
        />
      ) : failures.error ? (
        <Problem error={failures.error} retry={() => void failures.refetch()} />
      ) : (
        <Waiting label="the records that failed" />
      )}
      {before || failures.data?.next ? (
        <nav className="pages" aria-label="Pages of records">
          {before ? <Button onClick={() => setBefore(null)}>Newest</Button> : null}
          {failures.data?.next ? <Button onClick={() => setBefore(failures.data.next)}>Older</Button> : null}
        </nav>
      ) : null}
    </section>
  )
}

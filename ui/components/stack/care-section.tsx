// Looking after one sync without writing: dry runs and their plans, and comparisons of both sides with what they found.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import type { Drift, Plan } from '../../../server/http/contract/plans.ts'
import type { Sync } from '../../../server/http/contract/stack.ts'
import { Button, count, Empty, Problem, Waiting } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { Choice } from '../field.tsx'
import { type Column, Table } from '../list.tsx'
import { driftStates, planStates, State } from '../state.tsx'
import { Time } from '../time.tsx'
import { DriftRhythm } from './drift-rhythm.tsx'
import { planKinds } from './plan-view.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

export function PlansSection({ sync }: { sync: Sync }) {
  const { id, api, can, links } = useStack()
  const go = useNavigate()
  const plans = useQuery({
    queryKey: [id, 'plans', sync.id],
    queryFn: ({ signal }) => api.plans(sync.id, signal),
    refetchInterval: ({ state }) => (state.data?.items.some(({ status }) => status === 'making' || status === 'applying') ? 1500 : 10_000)
  })
  const make = useMutation({ mutationFn: () => api.makePlan(sync.id), onSuccess: plan => void go(links.plan(plan.id)) })
  return (
    <section className="section" aria-labelledby="plans-heading">
      <div className="row-apart">
        <h2 id="plans-heading">Plans</h2>
        {can.run && sync.state !== 'paused' ? (
          <Button busy={make.isPending && 'Starting…'} onClick={() => make.mutate()}>
            Dry run
          </Button>
        ) : null}
      </div>
      <Problem error={make.error} />
      {plans.data ? (
        plans.data.items.length > 0 ? (
          <Table label="Plans" rows={plans.data.items} rowKey={plan => plan.id} columns={planColumns(links.plan)} />
        ) : (
          <Empty>A dry run shows what a run would write, and writes nothing. Its plan can then be applied as it stands.</Empty>
        )
      ) : plans.error ? (
        <Problem error={plans.error} retry={() => void plans.refetch()} />
      ) : (
        <Waiting label="plans" />
      )}
    </section>
  )
}

function planColumns(to: (id: string) => string): Column<Plan>[] {
  return [
    { title: 'State', render: plan => <State of={planStates[plan.status]} /> },
    {
      title: 'Plan',
      render: plan => (
        <>
          <Link to={to(plan.id)}>{planKinds[plan.kind]}</Link>
          {plan.reason ? <p className="meta">{plan.reason}</p> : null}
        </>
      )
    },
    { title: 'Create', number: true, render: plan => count(plan.creates) },
    { title: 'Update', number: true, render: plan => count(plan.updates) },
    { title: 'Delete', number: true, render: plan => count(plan.deletes) },
    { title: 'Unchanged', number: true, render: plan => count(plan.skips) },
    { title: 'Made', render: plan => <Time at={plan.readyAt ?? plan.createdAt} /> }
  ]
}

export function DriftSection({ sync }: { sync: Sync }) {
  const { id, api, can } = useStack()
  const refresh = useRefresh()
  const [asking, setAsking] = useState(false)
  const [repair, setRepair] = useState(false)
  const drifts = useQuery({
    queryKey: [id, 'drift', sync.id],
    queryFn: ({ signal }) => api.drifts(sync.id, signal),
    refetchInterval: ({ state }) => (state.data?.items.some(({ status }) => status === 'queued' || status === 'running') ? 1500 : 10_000)
  })
  const start = useMutation({
    mutationFn: () => api.startDrift(sync.id, { repair }),
    onSuccess: async () => {
      await refresh()
      setAsking(false)
    }
  })
  const where = sync.direction === 'outbound' ? sync.connectionName : 'the stack'
  return (
    <section className="section" aria-labelledby="drift-heading">
      <div className="row-apart">
        <h2 id="drift-heading">Drift</h2>
        {can.run && sync.state !== 'paused' ? <Button onClick={() => setAsking(true)}>Compare both sides</Button> : null}
      </div>
      {drifts.data ? (
        drifts.data.items.length > 0 ? (
          <Table label="Comparisons" rows={drifts.data.items} rowKey={drift => drift.id} columns={driftColumns} />
        ) : (
          <Empty>A comparison lists {where} and counts what is missing, stale or extra against what was written.</Empty>
        )
      ) : drifts.error ? (
        <Problem error={drifts.error} retry={() => void drifts.refetch()} />
      ) : (
        <Waiting label="comparisons" />
      )}
      <DriftRhythm sync={sync} />
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Compare both sides of ${sync.name}?`}
        action={repair ? 'Compare and repair' : 'Compare'}
        busy={start.isPending && 'Starting…'}
        error={start.error}
        onConfirm={() => start.mutate()}
      >
        <p>Every record in {where} is listed and compared with what was last written. Nothing is ever deleted by it.</p>
        <Choice
          type="checkbox"
          label="Write again what is missing or stale"
          hint={sync.direction === 'outbound' ? undefined : 'Changes that people made to mapped fields are written over.'}
          checked={repair}
          onValue={setRepair}
        />
      </Confirm>
    </section>
  )
}

const driftColumns: Column<Drift>[] = [
  {
    title: 'State',
    render: drift => (
      <>
        <State of={driftStates[drift.status]} />
        {drift.error ? <p className="meta">{drift.error}</p> : null}
      </>
    )
  },
  { title: 'Listed', number: true, render: drift => count(drift.listed) },
  { title: 'Missing', number: true, render: drift => <Wrong value={drift.missing} /> },
  { title: 'Stale', number: true, render: drift => <Wrong value={drift.stale} /> },
  { title: 'Extra', number: true, render: drift => <Extra drift={drift} /> },
  {
    title: 'Compared by id alone',
    number: true,
    render: drift => count(drift.byId)
  },
  { title: 'Written again', number: true, render: drift => (drift.repair ? count(drift.repaired) : '–') },
  { title: 'When', render: drift => <Time at={drift.finishedAt ?? drift.createdAt} /> }
]

function Wrong({ value }: { value: number }) {
  return value > 0 ? <strong className="tone-bad">{count(value)}</strong> : '0'
}

function Extra({ drift }: { drift: Drift }) {
  const { links } = useStack()
  return drift.planId === null ? count(drift.extra) : <Link to={links.plan(drift.planId)}>{count(drift.extra)}</Link>
}

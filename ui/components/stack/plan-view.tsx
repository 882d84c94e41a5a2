// One plan: what it would do, counted and item by item with its field diffs, and the two things one does with it: apply or discard.
// Where deletes are more than a sync makes by itself, applying means allowing that very number, once.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Plan, PlanItem } from '../../../server/http/contract/plans.ts'
import { Button, count, counted, Empty, Id, Notice, Problem, Progress, Waiting } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { SelectField } from '../field.tsx'
import { type Column, Table } from '../list.tsx'
import { itemStates, planStates, planSteps, State } from '../state.tsx'
import { Time } from '../time.tsx'
import { usePlan, useRefresh, useStack } from './stack-view.tsx'

export const planKinds: Record<Plan['kind'], string> = {
  'dry-run': 'Dry run',
  brake: 'Deletes that were stopped',
  drift: 'Extra rows at the destination'
}

export function PlanView({ planId }: { planId: string }) {
  const plan = usePlan(planId)
  if (!plan.data)
    return plan.error ? <Problem error={plan.error} retry={() => void plan.refetch()} /> : <Waiting label="the plan" lines={6} />
  return (
    <>
      <PlanFacts plan={plan.data} />
      {plan.error ? <Problem error={plan.error} /> : null}
      <PlanItems plan={plan.data} />
    </>
  )
}

function PlanFacts({ plan }: { plan: Plan }) {
  const { links } = useStack()
  return (
    <section className="panel" aria-label="Plan">
      <div className="panel-body">
        <div className="row-apart">
          <State of={planStates[plan.status]} />
          {plan.status === 'ready' ? <PlanActions plan={plan} /> : null}
        </div>
        {plan.status === 'ready' && plan.reason ? (
          <Notice tone="wait" title={plan.reason}>
            <p>Nothing of it is deleted before somebody allows it.</p>
          </Notice>
        ) : null}
        {plan.status === 'stale' ? <Notice tone="quiet" title="This plan is stale: its sync was changed since, or it is too old." /> : null}
        {plan.error ? <Notice tone="bad" title={plan.error} /> : null}
        {plan.status === 'making' ? <Progress done={plan.read} total={plan.total} label={`Looking at ${plan.syncName}`} /> : null}
        <dl className="figures">
          <Figure name="Create" value={plan.creates} />
          <Figure name="Update" value={plan.updates} />
          <Figure name="Delete" value={plan.deletes} />
          <Figure name="Would fail" value={plan.failures} />
          <Figure name="Unchanged" value={plan.skips} />
        </dl>
        <dl className="facts">
          <dt>Kind</dt>
          <dd>{planKinds[plan.kind]}</dd>
          <dt>Made</dt>
          <dd>
            <Time at={plan.readyAt ?? plan.createdAt} />
          </dd>
          {plan.status === 'ready' ? (
            <>
              <dt>Good until</dt>
              <dd>
                <Time at={plan.expiresAt} />
              </dd>
            </>
          ) : null}
          {plan.runId ? (
            <>
              <dt>Carried out by</dt>
              <dd>
                <Link to={links.run(plan.runId)}>its run</Link>
              </dd>
            </>
          ) : null}
          <dt>Plan</dt>
          <dd>
            <Id value={plan.id} />
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
      <dd className={value > 0 && name === 'Would fail' ? 'tone-bad' : ''}>{count(value)}</dd>
    </div>
  )
}

function PlanActions({ plan }: { plan: Plan }) {
  const { api, can } = useStack()
  const refresh = useRefresh()
  const [asking, setAsking] = useState<'apply' | 'discard' | null>(null)
  const done = async () => {
    await refresh()
    setAsking(null)
  }
  const allow = plan.reason !== '' && plan.deletes > 0
  const apply = useMutation({ mutationFn: () => api.applyPlan(plan.id, allow ? { allowDeletes: plan.deletes } : {}), onSuccess: done })
  const discard = useMutation({ mutationFn: () => api.discardPlan(plan.id), onSuccess: done })
  const items = plan.creates + plan.updates + plan.deletes + plan.failures
  if (!can.run) return null
  return (
    <>
      <div className="row">
        {items > 0 && (!allow || can.configure) ? (
          <Button look={allow ? 'danger' : 'primary'} onClick={() => setAsking('apply')}>
            {allow ? `Allow ${counted(plan.deletes, 'delete')}` : 'Apply plan'}
          </Button>
        ) : null}
        <Button onClick={() => setAsking('discard')}>Discard plan</Button>
      </div>
      <Confirm
        open={asking === 'apply'}
        onClose={() => setAsking(null)}
        title={allow ? `Allow ${counted(plan.deletes, 'delete')} of ${plan.syncName}?` : `Apply this plan of ${plan.syncName}?`}
        action={allow ? `Allow ${counted(plan.deletes, 'delete')}` : 'Apply plan'}
        danger={allow}
        busy={apply.isPending && 'Starting…'}
        error={apply.error}
        onConfirm={() => apply.mutate()}
      >
        {allow ? <p>{plan.reason}</p> : null}
        <p>
          {counted(items, 'record')}: {count(plan.creates)} to create, {count(plan.updates)} to update, {count(plan.deletes)} to delete
          {plan.failures > 0 ? `, ${count(plan.failures)} that would fail` : ''}. Each is looked at once more; what has moved since is left
          alone.
        </p>
        {allow ? <p>This counts for this plan alone, and once. Deleted rows come back only if their records do.</p> : null}
      </Confirm>
      <Confirm
        open={asking === 'discard'}
        onClose={() => setAsking(null)}
        title="Discard this plan?"
        action="Discard plan"
        busy={discard.isPending && 'Discarding…'}
        error={discard.error}
        onConfirm={() => discard.mutate()}
      >
        <p>Nothing of it is written. A later run may find the same and ask again.</p>
      </Confirm>
    </>
  )
}

function PlanItems({ plan }: { plan: Plan }) {
  const { id, api } = useStack()
  const [step, setStep] = useState('')
  const [after, setAfter] = useState<string | null>(null)
  const items = useQuery({
    queryKey: [id, 'plan-items', plan.id, plan.status, plan.read, step, after],
    queryFn: ({ signal }) => api.planItems(plan.id, { step, after }, signal),
    placeholderData: known => known
  })
  return (
    <section className="section" aria-labelledby="items-heading">
      <h2 id="items-heading">What it does</h2>
      <div className="filters">
        <SelectField
          label="Step"
          value={step}
          onValue={value => {
            setStep(value)
            setAfter(null)
          }}
          options={[['', 'All'], ...Object.entries(planSteps).map(([key, { word }]) => [key, word] as const)]}
        />
      </div>
      {items.data ? (
        items.data.items.length > 0 ? (
          <Table label="What the plan does" rows={items.data.items} rowKey={item => item.key} columns={columns(plan)} />
        ) : (
          <Empty>{plan.status === 'making' ? 'Nothing to do so far.' : 'Nothing to do: both sides are as they should be.'}</Empty>
        )
      ) : items.error ? (
        <Problem error={items.error} retry={() => void items.refetch()} />
      ) : (
        <Waiting label="what the plan does" />
      )}
      {after || items.data?.next ? (
        <nav className="pages" aria-label="Pages of the plan">
          {after ? <Button onClick={() => setAfter(null)}>First</Button> : null}
          {items.data?.next ? <Button onClick={() => setAfter(items.data.next)}>Next</Button> : null}
        </nav>
      ) : null}
    </section>
  )
}

function columns(plan: Plan): Column<PlanItem>[] {
  const begun = plan.runId !== null
  return [
    { title: 'Step', render: item => <State of={planSteps[item.step]} /> },
    {
      title: 'Record',
      render: item => (
        <>
          <Id value={item.key} />
          {item.expectedVersion === null ? null : <p className="meta">version {item.expectedVersion}</p>}
        </>
      )
    },
    { title: 'Changes', words: true, render: item => <Diff item={item} /> },
    ...(begun ? [{ title: 'Became', render: (item: PlanItem) => <State of={itemStates[item.state]} /> }] : []),
    { title: 'Why', words: true, render: item => item.why ?? '' }
  ]
}

const shownFields = 4

function Diff({ item }: { item: PlanItem }) {
  if (!item.diff || item.diff.length === 0) return <span className="muted">–</span>
  const fields = item.diff.map(({ field, from, to }) => (
    <div key={field}>
      <dt>{field}</dt>
      <dd>
        {from === undefined ? null : (
          <>
            <del>{from ?? 'empty'}</del> <span aria-hidden="true">→</span>{' '}
          </>
        )}
        <ins>{to ?? 'empty'}</ins>
      </dd>
    </div>
  ))
  return (
    <>
      <dl className="diff">{fields.slice(0, shownFields)}</dl>
      {fields.length > shownFields ? (
        <details>
          <summary className="meta">{counted(fields.length - shownFields, 'more field')}</summary>
          <dl className="diff">{fields.slice(shownFields)}</dl>
        </details>
      ) : null}
    </>
  )
}

import type { BudgetAnswer, BudgetClaim, RateBudget } from '@tidemark/model';
import { blockStages, settleStages, takeStages } from './budget-stages.js';
import type { ControlDatabase } from './mongo-collections.js';
import type { RateBudgets } from './rate-budgets.js';

/** The database's clock in milliseconds. */
const NOW = { $toDouble: '$$NOW' };

/** Rate budgets in the control database: each step is one atomic update of one document. */
export class MongoRateBudgets implements RateBudgets {
  constructor(private readonly db: ControlDatabase) {}

  async take(account: string, budget: RateBudget, claim: BudgetClaim): Promise<BudgetAnswer> {
    const document = await this.db.budgets.findOneAndUpdate(
      { _id: account },
      takeStages(budget, claim, NOW),
      { upsert: true, returnDocument: 'after', projection: { answer: 1 } },
    );
    if (document?.answer === undefined) throw new Error('a claim on a budget gave no answer');
    const { granted, waitMs, cause } = document.answer;
    return granted > 0 ? { granted } : { granted: 0, waitMs, cause };
  }

  async settle(account: string, id: string, excess: number): Promise<void> {
    await this.db.budgets.updateOne({ _id: account, tokens: { $exists: true } }, settleStages(id, excess));
  }

  async block(account: string, ms: number): Promise<void> {
    await this.db.budgets.updateOne({ _id: account }, blockStages(ms, NOW), { upsert: true });
  }

  async blockedMs(account: string): Promise<number> {
    const projection = { left: { $subtract: ['$blockedUntil', NOW] } };
    const found = await this.db.budgets.findOne<{ left: number | null }>({ _id: account }, { projection });
    return Math.max(0, found?.left ?? 0);
  }
}

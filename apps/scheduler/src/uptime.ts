/** Whether there are schedulers at work. */
export interface Uptime {
  /** Since when there have been without a break of a minute, the caller being one. */
  since(): Promise<Date>;
}

/**
 * What makes a field look sensitive. Names are compared word by word in lower case, the words of `homeAddress`,
 * `home_address` and `Home address` being `home` and `address`. A field is listed rather once too often: whoever
 * needs it says so in the scope.
 */
const SENSITIVE_NAMES: readonly string[] = [
  // identity numbers
  'ssn|social security|national (id|insurance|number)|nin|nino|tax (id|number|file|code|class)|tin|itin|passport',
  'identity (card|number|document)|id (card|document)|drivers? licen[cs]e|driving licen[cs]e|aadhaar|fiscal code',
  // birth and person
  'dob|birth|birthday|birthdate|birthplace|gender|sex|ethnicity|ethnic|race|religion|religious|nationality',
  'citizenship|immigration|visa|marital|sexual|pronouns?|veteran|union membership|political|criminal|background check',
  // pay and bank
  'salary|salaries|compensation|wages?|pay (rate|grade|band)|payrate|base pay|hourly rate|bonus|remuneration|income',
  'stipend|commission|severance|net pay|gross pay|iban|bic|swift|bank|account number|routing number|sort code',
  'credit card|debit card|card number|cvv|cvc',
  // private contact
  '(home|private|personal|residential|mailing|permanent) (street|address|city|zip|postal|postcode)',
  '(home|private|personal) (e ?mail|phone|mobile|cell|telephone|number)|emergency contact|next of kin|maiden name',
  // health
  'health|medical|disability|disabled|disabilities|diagnosis|illness|sickness|pregnan(t|cy)|maternity|blood (type|group)',
  'allerg(y|ies)|vaccin(e|ation)|genetic|biometric',
  // secrets
  'password|passwd|pwd|passphrase|secrets?|tokens?|api key|apikey|private key|credentials?|pin|security (question|answer)',
];

const SENSITIVE_NAME = new RegExp(`(?:^| )(?:${SENSITIVE_NAMES.join('|')})(?: |$)`);

/** Characters of a name that are looked at: as many as a field path may have. */
const MAX_NAME_LENGTH = 512;

const SSN = /^\d{3}-\d{2}-\d{4}$/;
const IBAN = /^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/;
const CARD = /^\d{13,19}$/;
const SECRET =
  /^(?:eyJ[\w-]+\.[\w-]+\.|-----BEGIN [A-Z ]*PRIVATE KEY|(?:ghp|gho|xox[abp]|sk_live|AKIA)[-_A-Z0-9])/i;

/** Whether a field's name says that its content is sensitive. */
export function isSensitiveName(name: string): boolean {
  // What tells words apart goes back and forth: a name of megabytes would take hours.
  return SENSITIVE_NAME.test(wordsOf(name.slice(0, MAX_NAME_LENGTH)));
}

/** Whether a value looks sensitive, whatever its field is called: identity, account and card numbers, keys. */
export function isSensitiveText(text: string): boolean {
  if (SSN.test(text) || SECRET.test(text)) return true;
  const compact = text.length <= 64 ? text.replace(/[ -]/g, '') : '';
  return (IBAN.test(compact) && ibanRemainder(compact) === 1) || (CARD.test(compact) && passesLuhn(compact));
}

function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/[^\p{L}\p{N}]+|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})/gu, ' ')
    .trim()
    .toLowerCase();
}

/** ISO 13616: the rearranged digits of a valid IBAN leave 1. */
function ibanRemainder(iban: string): number {
  let remainder = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    for (const digit of String(parseInt(char, 36))) remainder = (remainder * 10 + Number(digit)) % 97;
  }
  return remainder;
}

/** ISO/IEC 7812: the check digit of card numbers. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

// Reads one JSON array of questions from standard input, and writes the array of answers: {value} or {error}.
const jwt = require('jsonwebtoken');

const answers = {
  sign: ({ claims, secret, options }) => jwt.sign(claims, secret, options),
  verify: ({ token, secret, options }) => jwt.verify(token, secret, options),
};

const questions = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answer = (question) => {
  try {
    return { value: answers[question.ask](question) };
  } catch (error) {
    return { error: error.message };
  }
};
process.stdout.write(JSON.stringify(questions.map(answer)));

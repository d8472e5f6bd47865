#include "bench/workloads/flights/features.h"

#include <cmath>
#include <limits>

#include "bench/workloads/arm/arm_program.h"

namespace rayx::bench {

Moments MomentsOf(const FlightBlock& block) {
  Moments moments;
  moments.rows = block.late.size(0);
  const auto sums = [](const at::Tensor& values) {
    const at::Tensor sum = values.sum(1);
    return std::vector<double>(sum.const_data_ptr<double>(),
                               sum.const_data_ptr<double>() + sum.numel());
  };
  moments.first = sums(block.numbers);
  moments.second = sums(block.numbers * block.numbers);
  return moments;
}

Scale ScaleOf(const std::vector<Moments>& blocks) {
  Scale scale;
  for (size_t number = 0; number < static_cast<size_t>(kNumbers); ++number) {
    double rows = 0, first = 0, second = 0;
    for (const Moments& block : blocks) {
      rows += static_cast<double>(block.rows);
      first += block.first.at(number);
      second += block.second.at(number);
    }
    const double mean = first / rows;
    scale.mean.push_back(static_cast<float>(mean));
    scale.deviation.push_back(static_cast<float>(std::sqrt(second / rows - mean * mean)));
  }
  return scale;
}

torch::TensorBlock Encode(const FlightBlock& block, const Scale& scale) {
  const int64_t rows = block.late.size(0);
  torch::TensorBlock result;
  result.features = at::zeros({rows, kFeatures}, at::kFloat);
  result.labels = block.late;
  const auto* hours = block.times.const_data_ptr<uint8_t>();
  const auto* weekdays = hours + rows;
  const auto* numbers = block.numbers.const_data_ptr<double>();
  auto* row_features = result.features.data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row, row_features += kFeatures) {
    row_features[hours[row]] = 1;
    row_features[kHours + weekdays[row]] = 1;
    for (int64_t i = 0; i < kNumbers; ++i) {
      const auto place = static_cast<size_t>(i);
      row_features[kHours + kWeekdays + i] =
          (static_cast<float>(numbers[i * rows + row]) - scale.mean[place]) /
          scale.deviation[place];
    }
  }
  return result;
}

std::string DigestOf(const torch::TensorBlock& block) {
  Sha256 digest;
  digest.Add(block.features.const_data_ptr(), block.features.nbytes());
  digest.Add(block.labels.const_data_ptr(), block.labels.nbytes());
  return digest.Binary();
}

::torch::nn::Sequential MakeModel() {
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(kFeatures, 1));
  return model;
}

at::Tensor LogisticLoss(const at::Tensor& output, const at::Tensor& labels) {
  return ::torch::nn::functional::binary_cross_entropy_with_logits(output.squeeze(1), labels);
}

Histogram HistogramOf(const torch::TensorBlock& block, ::torch::nn::Sequential model) {
  const ::torch::NoGradGuard no_grad;
  const at::Tensor probabilities = ::torch::sigmoid(model->forward(block.features).squeeze(1));
  const at::Tensor bins =
      probabilities.mul(static_cast<double>(kBins)).to(at::kLong).clamp_max(kBins - 1);
  const at::Tensor counts =
      ::torch::bincount(block.labels.to(at::kLong).mul(kBins).add(bins), {}, 2 * kBins);
  return {counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + counts.numel()};
}

double AreaUnderCurve(const Histogram& histogram) {
  int64_t early = 0, late = 0;  // rows so far
  double pairs = 0;             // twice, in the right order: whole numbers below 2^53
  for (size_t bin = 0; bin < static_cast<size_t>(kBins); ++bin) {
    const int64_t early_here = histogram[bin], late_here = histogram[bin + kBins];
    pairs += static_cast<double>(late_here) * static_cast<double>(2 * early + early_here);
    early += early_here;
    late += late_here;
  }
  if (early == 0 || late == 0) return std::numeric_limits<double>::quiet_NaN();
  return pairs / (2 * static_cast<double>(early) * static_cast<double>(late));
}

}  // namespace rayx::bench

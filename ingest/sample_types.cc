#include "ingest/sample_types.h"

#include <complex>

namespace contimg::ingest {
namespace {

SampleType ComplexType(const Hdf5Group& data) {
  const H5::DataSet data_set = data.Open("visdata");
  const std::string expected = "has the wrong type: expected complex numbers, a compound {r, i} of two numbers, found ";
  if (data_set.getTypeClass() != H5T_COMPOUND) throw data.Bad("visdata", expected + "none");
  const H5::CompType type = data_set.getCompType();
  bool complex = type.getNmembers() == 2;
  for (unsigned m = 0; complex && m < 2; ++m) {
    complex = type.getMemberClass(m) == H5T_FLOAT || type.getMemberClass(m) == H5T_INTEGER;
  }
  if (!complex) throw data.Bad("visdata", expected + "another compound");
  std::string real = type.getMemberName(0);
  std::string imaginary = type.getMemberName(1);
  const auto begins = [](const std::string& name, char lower, char upper) {
    return !name.empty() && (name[0] == lower || name[0] == upper);
  };
  if (begins(real, 'i', 'I')) std::swap(real, imaginary);  // HDF5 reads members by their names
  if (!begins(real, 'r', 'R') || !begins(imaginary, 'i', 'I')) {
    throw data.Bad("visdata", expected + fmt::format("{{{}, {}}}", type.getMemberName(0), type.getMemberName(1)));
  }
  H5::CompType memory(sizeof(std::complex<float>));
  memory.insertMember(real, 0, H5::PredType::NATIVE_FLOAT);
  memory.insertMember(imaginary, sizeof(float), H5::PredType::NATIVE_FLOAT);
  return {memory, type == memory};
}

}  // namespace

SampleTypes CheckSampleTypes(const Hdf5Group& data) {
  SampleTypes types;
  types.vis = ComplexType(data);
  const H5::DataSet flags = data.Open("flags");
  if (flags.getTypeClass() != H5T_ENUM && flags.getTypeClass() != H5T_INTEGER) {
    throw data.Bad("flags", "has the wrong type: expected booleans, found another type");
  }
  types.flags = {H5::PredType::NATIVE_INT8, flags.getDataType().getSize() == 1};
  const H5::DataSet nsamples = data.Open("nsamples");
  if (nsamples.getTypeClass() != H5T_FLOAT && nsamples.getTypeClass() != H5T_INTEGER) {
    throw data.Bad("nsamples", "has the wrong type: expected numbers, found another type");
  }
  types.nsamples = {H5::PredType::NATIVE_FLOAT, nsamples.getDataType() == H5::PredType::NATIVE_FLOAT};
  return types;
}

}  // namespace contimg::ingest
